"""Publish a job for each page of a document; page_consume.py takes them."""

# importing the lib
from omniq_flow.queue import OmniqClient


# creating your handler (ctx will have all the job information and actions)
def document_worker(ctx):
    # the unique key by which the pages are tracked until all are completed
    completion_key = ctx.payload["document_id"]
    pages = ctx.payload["pages"]

    # telling how many childs there will be, before the first of them can finish
    ctx.exec.child_init(completion_key, pages)

    for page in range(1, pages + 1):
        ctx.exec.publish(
            queue="pages",
            job_id=f"{ctx.job_id}-page-{page}", # the same at each attempt, so a page is never queued twice
            payload={
                "page": page,
                "completion_key": completion_key,
            },
        )
    print(f"[document_worker] {pages} pages published")


# creating OmniQ passing redis information
omniq = OmniqClient(
    host="omniq-redis",
    port=6379,
)

# creating the consumer that will listen and execute the actions in your handler
omniq.consume(
    queue="documents",
    handler=document_worker,
    verbose=True,
    drain=False,
)
