"""The example in Java: Spring Boot, and Avro by the classes that Maven makes of the schemas."""
import shutil
import subprocess
import unittest

from example import CACHE, ROOT, Language, Runner, alone, skip


class Java(Language):
    wire = "avro"
    # Little memory, and no time for what makes only long runs fast.
    command = ("java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", str(CACHE / "java" / "runner.jar"))

    @classmethod
    def build(cls):
        with alone("java"):
            done = subprocess.run(["mvn", "-q", "-B", f"-Dmaven.repo.local={CACHE / 'maven'}", f"-Dbuild.folder={CACHE / 'java'}", "package"],
                                  cwd=ROOT / "examples" / "java", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"mvn package: {done.stdout[-5000:]}")


class Jobs(Java, Runner, unittest.TestCase):
    pass


if __name__ == "__main__":
    if any(shutil.which(tool) is None for tool in ("javac", "mvn")):
        skip("there is no javac and mvn: ./dev test installs default-jdk-headless and maven, with which the example in Java is built")
    unittest.main()
