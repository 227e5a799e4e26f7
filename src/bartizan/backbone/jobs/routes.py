"""Jobs and schedules over HTTP."""

from fastapi import APIRouter

from .service import Jobs


def routes(jobs: Jobs) -> APIRouter:
    """Build the routes; fixed paths come before those with an id."""
    table = APIRouter(prefix="/jobs", tags=["Jobs"])
    table.get("")(jobs.list)
    table.get("/counts")(jobs.counts)
    table.get("/failures")(jobs.failures)
    table.post("/retry")(jobs.retry_all)
    table.post("/purge")(jobs.purge)
    table.get("/schedules")(jobs.schedules.list)
    table.post("/schedules", status_code=201)(jobs.schedules.create)
    table.post("/schedules/{schedule_id}/pause")(jobs.schedules.pause)
    table.post("/schedules/{schedule_id}/resume")(jobs.schedules.resume)
    table.post("/schedules/{schedule_id}/run", status_code=201)(jobs.schedules.run_now)
    table.delete("/schedules/{schedule_id}", status_code=204)(jobs.schedules.delete)
    table.get("/{job_id}")(jobs.get)
    table.post("/{job_id}/retry")(jobs.retry)
    table.post("/{job_id}/cancel")(jobs.cancel)
    return table
