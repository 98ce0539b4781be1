"""Beyond linear: ReLU networks without bias on images, as in the paper's figure 2.

Their weights or the images are multiplied by a scale; test error and the norm of W_L ... W_1 are followed over time.
"""

from flowsim.relu.images import Images, load_images
from flowsim.relu.network import INITIAL, start
from flowsim.relu.run import STATUS, ReluRun, State, load_relu
from flowsim.relu.training import STEP_SIZES, resume, train

__all__ = [
    "INITIAL",
    "STATUS",
    "STEP_SIZES",
    "Images",
    "ReluRun",
    "State",
    "load_images",
    "load_relu",
    "resume",
    "start",
    "train",
]
