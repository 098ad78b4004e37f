"""The example in Python, with the client of clients/python."""
import sys
import unittest

from example import ROOT, Language, Runner


class Python(Language):
    folder = ROOT / "examples" / "python"
    command = (sys.executable, "-B", "runner.py")
    environment = {"PYTHONPATH": str(ROOT / "clients" / "python" / "src")}


class Jobs(Python, Runner, unittest.TestCase):
    pass


class JobsInAvro(Python, Runner, unittest.TestCase):
    """The same with events and answers in Avro, of which one test is enough: fastavro is there."""
    wire = "avro"
    environment = {**Python.environment, "WIRE": "avro"}


def load_tests(loader, _, __):
    return unittest.TestSuite([*loader.loadTestsFromTestCase(Jobs),
                               JobsInAvro("test_1_a_job_is_assigned_used_reported_cached_and_released")])


if __name__ == "__main__":
    unittest.main()
