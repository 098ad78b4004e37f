"""What the packages are made from agrees with the rest of the repository."""
import pathlib
import re
import subprocess
import tempfile
import unittest

import program

INI = program.ROOT / "packaging" / "warmpool.ini"


def read(path):
    return (program.ROOT / path).read_text()


class Sources(unittest.TestCase):
    def test_the_package_is_built_with_what_dev_builds_with(self):
        needs = re.search(r"build_needs=\((.*?)\)", read("dev"), re.S)[1]
        wanted = {item.split(":")[1] for item in needs.split()} - {"gcc", "libc6-dev", "libcriterion-dev"}  # build-essential; tests
        block = re.search(r"^Build-Depends:(.*?)^\S", read("debian/control"), re.M | re.S)[1]
        found = {re.sub(r"\s*\(.*", "", item).strip() for item in block.split(",")}
        self.assertEqual({re.sub("^ninja$", "ninja-build", item) for item in found} - {"debhelper-compat"}, wanted)

    def test_versions_agree(self):
        version = re.search(r"^project\(warmpool VERSION (\S+)", read("CMakeLists.txt"), re.M)[1]
        self.assertRegex(read("debian/changelog"), rf"^warmpool \({re.escape(version)}-\d+\) ")
        self.assertEqual(program.warmpool("--version"), f"warmpool {version}\n")

    def test_every_script_of_the_package_is_there(self):
        self.assertIn("packaging/systemd/warmpool.service", read("debian/rules"))
        self.assertTrue((program.ROOT / "packaging/systemd/warmpool.service").exists())


class Configuration(unittest.TestCase):
    """The file that is installed: what it sets, and what it offers."""

    def refused(self, text):
        """What `warmpool check` says of this file, with a key behind it that there is not: so all before that was accepted."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "warmpool.ini")
            file.write_text(text)
            pathlib.Path(folder, "conf.d").mkdir()
            got = subprocess.run([program.WARMPOOL, "check", "-c", str(file), "-o", "no.key=1"], capture_output=True, text=True,
                                 env={"PATH": "/usr/bin:/bin"})
            return got.stderr

    def test_it_is_accepted(self):
        self.assertIn("no.key is not a known key", self.refused(INI.read_text()))

    def test_so_is_each_line_that_it_offers(self):
        offered = re.findall(r"^;(\S+ = .*)$", INI.read_text(), re.M)
        self.assertGreater(len(offered), 12)
        self.assertIn("no.key is not a known key", self.refused(re.sub(r"^;(\S+ = .*)$", r"\1", INI.read_text(), flags=re.M)))

    def test_a_wrong_line_would_be_found(self):
        self.assertIn("pool.sise is not a known key", self.refused(INI.read_text().replace(";size = ", "sise = ")))


if __name__ == "__main__":
    unittest.main()
