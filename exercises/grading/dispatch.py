"""Run many jobs: on the cores of this machine, or on the workers of a Dask cluster. The same function, the same results."""

import concurrent.futures
import os
from collections.abc import Iterator

from exercises.grading import running

_ATTEMPTS = 5  # of a job that a worker can't run, as one without bubblewrap; those whose worker died Dask gives to others


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_local(jobs: list[tuple], workers: int) -> Iterator[tuple[int, object]]:
    """(number of the job, result) as they come. A thread waits for each child; the children do the work."""
    pool = concurrent.futures.ThreadPoolExecutor(max(1, min(workers, len(jobs))))
    try:
        numbers = {pool.submit(running.observe, *job): number for number, job in enumerate(jobs)}
        for future in concurrent.futures.as_completed(numbers):
            yield numbers[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        running.stop_all()
        pool.shutdown(wait=True)


def run_dask(jobs: list[tuple], address: str) -> Iterator[tuple[int, object]]:
    """Do the same over a Dask cluster, whose workers need this repository on their path. A worker that dies loses nothing."""
    from distributed import Client, as_completed

    with Client(address, timeout=20) as client:
        futures = [client.submit(running.observe, *job, pure=False, retries=_ATTEMPTS) for job in jobs]
        numbers = {future.key: number for number, future in enumerate(futures)}
        for future, result in as_completed(futures, with_results=True):
            yield numbers[future.key], result


def run(jobs: list[tuple], workers: int, address: str | None) -> Iterator[tuple[int, object]]:
    """Run them on the cluster if there is an address, else here. Close it to end them."""
    if jobs:
        yield from run_dask(jobs, address) if address else run_local(jobs, workers)
