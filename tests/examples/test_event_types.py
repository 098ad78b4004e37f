"""The types that are checked in for Go and TypeScript are those of the schemas."""
import subprocess
import sys
import unittest

from example import ROOT


class Types(unittest.TestCase):
    def test_they_are_up_to_date(self):
        done = subprocess.run([sys.executable, "-B", ROOT / "examples" / "event_types.py", "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
