"""The examples with containers of a Docker engine: the job runs by `docker exec`, and a killed container is lost."""
import shutil
import unittest
import uuid

from example import Language, skip, wait_until

import docker_system
from test_go import Go
from test_java import Java
from test_nodejs import Nodejs
from test_python import Python


class InDocker(docker_system.WithDocker):
    """With a Language: one test, since all but `docker exec` is the same as without an engine."""

    @classmethod
    def setUpClass(cls):
        if cls is InDocker:
            raise unittest.SkipTest("a base")
        cls.options = {**cls.options, "wire.write": cls.wire, "pool.max_containers": 2, "pool.size": 2}
        cls.build()
        super().setUpClass()

    def test_a_job_runs_in_its_container_and_again_when_it_was_killed(self):
        job = f"job-{uuid.uuid4().hex[:8]}"
        run = self.start(job, "echo $WARMPOOL_CONTAINER_ID")
        self.finished(run)
        given = self.answer(job)
        self.assertEqual(given["address"].partition(":")[0], "container")
        self.assertIn(f"output: {given['container_id']}\n", run.text())
        self.assertEqual(self.client.wait("usage-record", lambda r: r["record_id"] == job).get("memory_usage_mb"), None)
        lost = self.start(job + "-lost", f"test {given['container_id']} != $WARMPOOL_CONTAINER_ID || sleep 100; echo $WARMPOOL_CONTAINER_ID")
        self.assertEqual(self.answer(job + "-lost")["container_id"], given["container_id"])
        wait_until(lambda: "tool metadata" in lost.text(), lost.text)
        docker_system.engine("post", f"/containers/{given['container_id']}/kill")
        self.finished(lost)
        self.assertTrue(self.answer(job + "-lost", "lost")["reason"].startswith("container_died"))
        again = self.answer(job + "-lost.2", "assigned")
        self.assertIn(f"output: {again['container_id']}\n", lost.text())
        self.client.wait("container-release", lambda r: r["request_id"] == job + "-lost.2")


class PythonInDocker(Python, Language, InDocker):
    pass


@unittest.skipUnless(shutil.which("go"), "there is no go")
class GoInDocker(Go, Language, InDocker):
    pass


@unittest.skipUnless(shutil.which("npm"), "there is no npm")
class NodejsInDocker(Nodejs, Language, InDocker):
    pass


@unittest.skipUnless(shutil.which("javac") and shutil.which("mvn"), "there is no javac and mvn")
class JavaInDocker(Java, Language, InDocker):
    pass


if __name__ == "__main__":
    if shutil.which("docker") is None:
        skip("there is no program `docker`, by which the examples run a job in a container")
    docker_system.main()
