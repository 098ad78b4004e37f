"""docker.pull where the registry wants credentials, is away, or is silent; and a stop while an image is pulled."""
import re
import time

from registry import PASSWORD, WithRegistry, is_there, main
from system import stays, wait_until


class Credentials(WithRegistry):
    protected = True
    options = {"docker.pull.react": "missing", "pool.min_idle.react": 1, "pool.max_failures": 2}

    @classmethod
    def choose(cls):
        cls.image, cls.file = cls.registry.push("agents/react:1"), cls.registry.write_credentials("guessed")
        return {"docker.image.react": cls.image, "docker.config": cls.file}

    def test_a_wrong_password_is_said_with_what_to_mend_and_a_mended_file_is_enough(self):
        failed = self.line("image_pull_failed", 2)
        self.assertIn("unauthorized", failed)
        self.assertIn(f"mend the credentials of {self.registry.address} in {self.file}", failed)
        self.assertEqual([re.search(r"retry_ms=(\d+)", line)[1] for line in self.lines("image_pull_failed")[:2]], ["1000", "2000"])
        wait_until(lambda: self.warnings() == ["react"], "a warning says so")
        refused = self.acquire("c-1", timeout_ms=100000)
        self.assertEqual(refused["status"], "rejected")
        self.assertRegex(refused["reason"], f"^unavailable: the image {self.image} could not be pulled: .*unauthorized")
        self.registry.write_credentials(PASSWORD)
        self.is_kept_ready()
        self.serves("c-2", "react", self.image)
        for secret in ("guessed", "agents:", f"={PASSWORD}"):
            self.assertNotIn(secret, self.worker.log().replace("agents/react", ""))


class Helper(WithRegistry):
    protected = True
    options = {"docker.pull": "missing", "pool.min_idle.react": 1}

    @classmethod
    def choose(cls):
        cls.image, cls.file = cls.registry.push("agents/react:1"), cls.registry.write_credentials(None, credsStore="pass")
        return {"docker.image.react": cls.image, "docker.config": cls.file}

    def test_a_credential_helper_is_named_because_it_is_not_run(self):
        failed = self.line("image_pull_failed")
        self.assertIn("it names the credential helper docker-credential-pass, which is not run here", failed)
        self.registry.write_credentials(PASSWORD, credsStore="pass")
        self.is_kept_ready()


class RegistryAway(WithRegistry):
    gated = False
    options = {"docker.pull": "missing", "pool.min_idle.react": 1}

    @classmethod
    def choose(cls):
        cls.image = cls.registry.push("agents/react:1")
        cls.registry.stop()
        return {"docker.image.react": cls.image}

    def test_a_registry_that_comes_back_is_enough(self):
        failed = self.line("image_pull_failed")
        self.assertIn("connection refused", failed)
        self.assertIn(f"see that {self.registry.address} answers", failed)
        self.registry.start()
        self.is_kept_ready()


class RegistrySilent(WithRegistry):
    options = {"docker.pull": "missing", "pool.min_idle.react": 1, "docker.timeout_ms": 4000}

    @classmethod
    def choose(cls):
        cls.image = cls.registry.push("agents/react:1")
        cls.registry.gate.hold()
        return {"docker.image.react": cls.image}

    def test_a_registry_that_sends_nothing_is_given_up_and_tried_again(self):
        self.assertIn("nothing was heard of it for docker.timeout_ms = 4000", self.line("image_pull_failed"))
        self.registry.gate.open()
        self.is_kept_ready()


class Stop(WithRegistry):
    options = {"docker.pull": "missing", "pool.min_idle.react": 1}

    @classmethod
    def choose(cls):
        cls.image = cls.registry.push("agents/react:1", size=4000000)
        cls.registry.gate.hold(2000000)
        return {"docker.image.react": cls.image}

    def test_a_stop_waits_for_no_pull_and_ends_it(self):
        wait_until(lambda: self.figure("warmpool_image_pull_bytes_total") > 0, "it is being pulled")
        begin = time.monotonic()
        self.assertEqual(self.worker.stop(), 0)
        print(f"stopped after {time.monotonic() - begin:.1f} s")
        self.assertNotIn("event=stop_timeout", self.worker.log(), "it was ended after worker.stop_timeout_ms")
        self.registry.gate.open()
        stays(lambda: not is_there(self.image), "the engine has ended the pull, too")


if __name__ == "__main__":
    main()
