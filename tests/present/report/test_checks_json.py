"""checks.json is the report, as its schema says, and the schema says what each entry is."""

import json
import math

import jsonschema
import numpy as np
import pytest

from flowsim.claims import check
from flowsim.present.report.page import SCHEMA, dump, write_report
from flowsim.problem import Gaussian


@pytest.fixture(scope="module")
def schema():
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


@pytest.fixture
def data(tmp_path, made_up):
    assert write_report(made_up.report, tmp_path, chapters=made_up.chapters, figures=False) == []
    text = (tmp_path / "checks.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_checks_json_is_what_its_schema_says(data, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)


def test_a_real_run_is_what_the_schema_says(tmp_path, schema):
    report = check(["convex-and-smooth", "gradient-bounds"], laws=Gaussian(5), seed=3)
    assert [verdict.finding.verdict for verdict in report.verdicts] == ["holds", "holds"]
    assert write_report(report, tmp_path, figures=False) == []
    data = json.loads((tmp_path / "checks.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, schema)
    assert data["setting"]["laws"] == ["Gaussian(dim=5, scale=1)"]


def test_checks_json_is_the_report(data, made_up):
    assert data == json.loads(dump(made_up.report.to_dict()))
    sharp = next(entry for entry in data["claims"] if entry["name"] == "sharp")
    assert sharp["numbers"] == {"nan": "nan", "far": "-inf", "list": [1.0, "inf"], "text": '[\n 1, "2"\n]'}
    slope = next(entry for entry in data["claims"] if entry["name"] == "slope")
    curve = next(v for v in made_up.report.verdicts if v.claim.name == "slope").finding.picture.curves[0]
    np.testing.assert_array_equal(slope["picture"]["curves"][0]["y"], curve.y)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("passed"),
        lambda data: data.update(format="flowsim-checks-2"),
        lambda data: data["claims"][0].pop("control"),
        lambda data: data["claims"][0].update(verdict="maybe"),
        lambda data: data["claims"][0].update(measured=1.0),
        lambda data: data["claims"][0].update(about="Theorem 1"),
        lambda data: data["claims"][0]["picture"]["curves"][0].update(role="drawn"),
        lambda data: data["claims"][0]["picture"]["curves"][0].update(y=["infinity"]),
        lambda data: data["setting"].update(depths=[0]),
        lambda data: data["versions"].pop("flowsim"),
    ],
)
def test_the_schema_can_be_failed(data, schema, spoil):
    spoil(data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_what_a_later_version_adds_does_not_break_a_reader(data, schema):
    data["more"] = 1
    data["claims"][0]["more"] = 2
    jsonschema.validate(data, schema)


def test_the_schema_documents_every_entry(schema, data):
    parts = {"checks.json": schema, **schema["$defs"], "setting": schema["properties"]["setting"]}
    for name, part in parts.items():
        assert part.get("description"), name
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), f"{name}: {key}"
    for part, entry in (("claim", data["claims"][0]), ("picture", data["claims"][0]["picture"])):
        assert set(schema["$defs"][part]["properties"]) == set(entry) == set(schema["$defs"][part]["required"])
    assert set(schema["properties"]) == set(data)
    assert "none is renamed, removed" in schema["description"]
    assert schema["properties"]["format"]["const"] == data["format"]


def test_json_keeps_lists_of_numbers_on_one_line():
    text = dump({"x": np.arange(300.0), "nested": [[1, 2], [3]], "words": ["a", "b"], "empty": []})
    assert len(text.splitlines()) < 20
    assert json.loads(text) == {"x": list(range(300)), "nested": [[1, 2], [3]], "words": ["a", "b"], "empty": []}
    assert json.loads(dump({"a": math.nan, "b": [math.inf]})) == {"a": "nan", "b": ["inf"]}
