"""Arguments in the plain types of Python and numpy, or refused with a message that names them."""

from __future__ import annotations

import math
import numbers
import operator
from typing import TYPE_CHECKING, Any

from colstore.errors import ColstoreError, ConfigError

if TYPE_CHECKING:  # the command line validates its settings without numpy
    from numpy.typing import NDArray


def as_integer(
    name: str,
    value: object,
    minimum: int,
    maximum: int | None = None,
    *,
    error: type[ColstoreError] = ConfigError,
) -> int:
    """Return an integer argument as an ``int``. Integers of numpy count; booleans and floats do not.

    Parameters
    ----------
    name
        Name of the argument, for the message.
    value
        What the caller passed.
    minimum, maximum
        Smallest and largest value allowed; ``maximum=None`` sets no upper limit.
    error
        Class of the error to raise.

    Raises
    ------
    ConfigError
        ``value`` is not an integer or lies outside the limits (or the class passed as ``error``).

    Examples
    --------
    >>> import numpy as np
    >>> as_integer("k", np.int64(3), 1)
    3
    """
    try:
        if isinstance(value, bool):
            raise TypeError  # noqa: TRY301 - booleans are integers to Python
        number = operator.index(value)  # type: ignore[arg-type]  # refuses what is no integer
    except TypeError:
        number = None
    if number is None or number < minimum or (maximum is not None and number > maximum):
        limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise error(f"{name} must be an integer {limits}, got {value!r}")
    return number


def as_number(name: str, value: object, minimum: float, maximum: float = math.inf) -> float:
    """Return a numeric argument as a ``float``. Numbers of numpy count; booleans, NaN and infinities do not.

    Raises
    ------
    ConfigError
        ``value`` is not a finite number from ``minimum`` to ``maximum``.

    Examples
    --------
    >>> import numpy as np
    >>> as_number("recall", np.float32(0.5), 0, 1)
    0.5
    """
    number = math.nan if isinstance(value, bool) or not isinstance(value, numbers.Real) else float(value)
    if not minimum <= number <= maximum or math.isinf(number):
        limits = f" of at least {minimum:g}" if maximum == math.inf else f" from {minimum:g} to {maximum:g}"
        raise ConfigError(f"{name} must be a finite number{'' if math.isinf(minimum) else limits}, got {value!r}")
    return number


def as_array(value: Any) -> NDArray[Any]:  # noqa: ANN401 - whatever numpy or torch make an array of
    """Return an array of numpy, of torch (on any device, in any number type, with or without gradients) or a list.

    Torch is not imported for it. Lists of unequal rows become an array of objects.
    """
    import numpy as np

    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a tensor
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):  # numpy has no such type
            value = value.float()
        value = value.numpy()
    try:
        return np.asarray(value)
    except ValueError:  # rows of unequal length
        return np.empty(0, object)
