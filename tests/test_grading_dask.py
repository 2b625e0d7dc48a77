"""Grading over a Dask cluster: the same bytes as without one, even if a worker dies in between."""

import os
import signal

import pytest
from grading_runs import ROOT, grade, only_linux, pages_of, small_class

from exercises.grading import cache

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed; pip install -e '.[dask]' brings it")


@pytest.fixture
def cluster(monkeypatch):
    """Two workers, each a process of its own with one thread, on this machine."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


@only_linux
def test_the_same_bytes_though_a_worker_is_killed(tmp_path, cluster, monkeypatch):
    place, killed, put = tmp_path / "class", [], cache.Observations.put
    small_class(place, 8)
    assert grade(place, tmp_path / "here") == 0

    def put_and_kill(store, key, observation):
        put(store, key, observation)
        if not killed:  # with the first result, while the others are under way or still to come
            with distributed.Client(cluster.scheduler_address) as client:
                killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(cache.Observations, "put", put_and_kill)
    assert grade(place, tmp_path / "there", "--dask", cluster.scheduler_address) == 0
    assert killed
    assert pages_of(tmp_path / "there") == pages_of(tmp_path / "here")
