"""Pause a queue and let it go on."""

# importing the lib
from omniq_flow.queue import OmniqClient

# creating OmniQ passing redis information
omniq = OmniqClient(
    host="omniq-redis",
    port=6379,
)

pause_result = omniq.pause(
    queue="demo",
)
resume_result = omniq.resume(
    queue="demo",
)
is_paused = omniq.is_paused(
    queue="demo",
)
