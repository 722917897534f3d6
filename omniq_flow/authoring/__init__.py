"""Steps and flows as users write them, and the graph that tracing a flow gives. No Redis in sight."""
