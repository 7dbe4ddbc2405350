"""Taking a picture's pixels from other places in it."""

import cv2
import numpy as np
import numpy.typing as npt


def warped(
    picture: npt.NDArray[np.uint8], source: npt.NDArray[np.float32], sharp: bool = False
) -> npt.NDArray[np.uint8]:
    """Each pixel from its place in `source`, x and y; beyond the edges from the edge.

    Shapes: (height, width, 3), (rows, columns, 2), and (rows, columns, 3). `sharp` takes four times as long: for what
    is done once.
    """
    interpolation = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    # With both places in one map there is no second one: the published types do not know that.
    moved = cv2.remap(picture, source, None, interpolation, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(moved, np.uint8)
