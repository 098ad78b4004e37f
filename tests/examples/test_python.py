"""The example in Python, with the client of clients/python."""
import sys
import unittest

from example import ROOT, Runner


class Python(Runner):
    folder = ROOT / "examples" / "python"
    command = (sys.executable, "-B", "runner.py")
    environment = {"PYTHONPATH": str(ROOT / "clients" / "python" / "src")}


class PythonInAvro(Python):
    """The same with answers in Avro, and events in Avro: fastavro is there."""
    wire = "avro"
    environment = {**Python.environment, "WIRE": "avro"}

    def test_2_a_killed_container_is_lost_and_the_job_runs_again(self):
        self.skipTest("the same as in JSON")

    test_3_a_full_pool_rejects = test_4_a_restarted_runner_goes_on_with_its_lease = test_5_nobody_answers = \
        test_2_a_killed_container_is_lost_and_the_job_runs_again


if __name__ == "__main__":
    unittest.main()
