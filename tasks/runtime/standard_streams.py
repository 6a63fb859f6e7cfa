"""Standard streams of a program that was started without them."""

import os
import sys


def reopen_closed_streams() -> None:
    """Open each standard stream that is closed (`>&-`) on the null device.

    Else the next file that the program opens gets the descriptor of the closed stream, and libraries print into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system opens the lowest free descriptor, which is this one.
            os.open(os.devnull, os.O_RDWR)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 (open until the end)
