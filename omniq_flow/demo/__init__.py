"""The demo: a flow over real input that every machine has, the standard library of the running Python."""

from omniq_flow.demo.library import Report, survey

__all__ = ["Report", "survey"]
