"""Delete a job from the lane it is in."""

# importing the lib
from omniq_flow.queue import OmniqClient

# creating OmniQ passing redis information
omniq = OmniqClient(
    host="omniq-redis",
    port=6379,
)

omniq.remove_job(
    queue="demo",
    job_id="01ABC...",
    lane="failed", # wait | delayed | failed | completed | gwait
)
