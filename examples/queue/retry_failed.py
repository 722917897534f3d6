"""Put a failed job back into its lane."""

# importing the lib
from omniq_flow.queue import OmniqClient

# creating OmniQ passing redis information
omniq = OmniqClient(
    host="omniq-redis",
    port=6379,
)

omniq.retry_failed(queue="demo", job_id="01ABC...")
