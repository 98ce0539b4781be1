"""info: what numbers from this installation depend on."""

PACKAGES = ("flowsim", "jax", "jaxlib", "diffrax", "equinox", "scipy", "numpy", "xarray", "h5netcdf", "matplotlib")


def info() -> int:
    """Versions, precision and devices."""
    import platform
    from importlib.metadata import version

    import jax

    rows = {name: version(name) for name in PACKAGES}
    rows["python"] = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    with jax.enable_x64(True):
        inside = jax.numpy.zeros(()).dtype
    rows["precision"] = f"{inside} in flowsim; the session's own jax_enable_x64 is {bool(jax.config.read('jax_enable_x64'))} and stays so"
    rows["devices"] = ", ".join(f"{device.platform} {device.device_kind}" for device in jax.devices())
    for name, value in rows.items():
        print(f"{name:<11}{value}")
    return 0
