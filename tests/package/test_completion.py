"""Completion in a real shell: usage: test_completion.py bash|zsh|fish. What a shell offers is what the tables have."""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import program

LIMIT = 20


class Bash:
    # Interactive bash splits words at "=" as here (COMP_WORDBREAKS).
    def offers(self, line, folder=None):
        words = [word for word in re.split(r"(\s+|=)", line) if word.strip()]
        if line[-1:].isspace():
            words.append("")
        script = (f'eval "$("{program.WARMPOOL}" help --completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _warmpool;'
                  ' printf "%s\\n" "${COMPREPLY[@]}"')
        got = subprocess.run(["bash", "--norc", "-c", script, "bash", *words], cwd=folder, capture_output=True, text=True, timeout=LIMIT)
        return self.checked(got)

    @staticmethod
    def checked(got):
        if got.stderr:
            raise AssertionError(got.stderr)
        return set(got.stdout.split("\n")) - {""}


class Fish:
    def offers(self, line, folder=None):
        with tempfile.TemporaryDirectory() as home:
            script = f'"{program.WARMPOOL}" help --completion fish | source; complete -C $argv[1]'
            got = subprocess.run(["fish", "--no-config", "-c", script, line], cwd=folder, capture_output=True, text=True, timeout=LIMIT,
                                 env={**os.environ, "HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home})
        return {offer.split("\t")[0] for offer in Bash.checked(got)}


class Zsh:
    """Its completion works only at a prompt: one for all lines, and a compadd that also writes what it was given into a file."""
    SETUP = ("autoload -U compinit; compinit -u -D; bindkey '^I' complete-word; PS1=; LISTMAX=9999; "
             'compadd() {{ local -a hits; builtin compadd -O hits "$@"; local suffix=; local -i i; '
             'for ((i = 1; i < $#; i++)); do [[ ${{@[i]}} == -S ]] && suffix=${{@[i + 1]}}; done; '
             'print -rl -- ${{^hits}}$suffix >>{file}; builtin compadd "$@"; }}\n'
             'eval "$("{warmpool}" help --completion zsh)"\n'
             'zle-line-init() {{ print -r @ready@ >>{file} }}; zle -N zle-line-init\n')

    def __init__(self):
        self.home = tempfile.mkdtemp()
        self.file = os.path.join(self.home, "offers")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(HOME=self.home, ZDOTDIR=self.home, TERM="dumb", COLUMNS="200")
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.seen = b""
        self.type(self.SETUP.format(file=self.file, warmpool=program.WARMPOOL))

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)
        shutil.rmtree(self.home)

    def offers(self, line, folder=None):
        self.type(f"cd {folder or self.home}\n")
        return self.type(f"{line}\t\x15:\n") - {""}  # ^U: the line is not run

    def type(self, keys):
        """Returns what was offered until the next prompt."""
        open(self.file, "w").close()
        os.write(self.terminal, keys.encode())
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.05)[0]:
                self.seen += os.read(self.terminal, 65536)  # or zsh stops at a full terminal
            with open(self.file) as file:
                lines = file.read().split("\n")
            if "@ready@" in lines:
                return set(lines[:lines.index("@ready@")])
        raise AssertionError(f"no prompt from zsh; the terminal shows {self.seen.decode(errors='replace')}")


SHELLS = {"bash": Bash, "zsh": Zsh, "fish": Fish}


class Completion(unittest.TestCase):
    name = "bash"

    @classmethod
    def setUpClass(cls):
        cls.shell = SHELLS[cls.name]()
        cls.addClassCleanup(getattr(cls.shell, "close", lambda: None))

    def offers(self, line, folder=None):
        return self.shell.offers(line, folder)

    def test_subcommands(self):
        self.assertEqual(self.offers("warmpool ") - {"--help", "--version"}, set(program.subcommands()))
        self.assertEqual(self.offers("warmpool --ver"), {"--version"})
        self.assertEqual(self.offers("warmpool wor"), {"worker"})
        self.assertEqual(self.offers("warmpool help hos"), {"hosts"})

    def test_options_are_those_of_help(self):
        for name in program.subcommands():
            self.assertEqual({offer.rstrip("=") for offer in self.offers(f"warmpool {name} -")}, set(program.options(name)), name)

    def test_topics(self):
        self.assertEqual(self.offers("warmpool send "), program.topics())
        self.assertEqual(self.offers("warmpool tail metrics container-as"), {"container-assignment"})
        self.assertEqual(self.offers("warmpool tail --timeout 5 cache-"), {"cache-result"})

    def test_words(self):
        self.assertEqual(self.offers("warmpool hosts "), {"show", "forget"})
        self.assertEqual(self.offers("warmpool help --completion "), {"bash", "zsh", "fish"})

    def test_keys(self):
        found = {offer.split("=")[0] for offer in self.offers("warmpool worker -o ")}
        self.assertEqual(found, program.keys())

    def test_values_of_keys(self):
        found = {offer.split("=")[-1] for offer in self.offers("warmpool worker -o pool.reuse=")}
        self.assertEqual(found - {""}, {"never", "same_agent", "same_tenant", "always"})
        found = {offer.split("=")[-1] for offer in self.offers("warmpool check -o pool.enabled=t")}
        self.assertEqual(found, {"true"})

    def test_files(self):
        with tempfile.TemporaryDirectory(prefix="files") as folder:
            open(os.path.join(folder, "warmpool.ini"), "w").close()
            for line in "warmpool worker -c war", "warmpool replay war":
                self.assertEqual(self.offers(line, folder), {"warmpool.ini"}, line)

    def test_nothing_where_nothing_fits(self):
        self.assertEqual(self.offers("warmpool tail --count "), set())
        self.assertEqual(self.offers("warmpool nosuch x"), set())


@unittest.skipUnless(sys.argv[1:2] == ["bash"], "of bash")
class AtAPrompt(unittest.TestCase):
    """The same once more in an interactive bash."""

    def test_a_line_is_completed(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="dumb", PS1="", COLUMNS="200")
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        try:
            line = f'eval "$("{program.WARMPOOL}" help --completion bash)"; warmpool() {{ echo "got<$*>"; }}\n'
            os.write(terminal, line.encode() + b"warmpool che\t -o pool.reu\t=alw\t; exit\n")
            seen, end = b"", time.monotonic() + LIMIT
            while time.monotonic() < end and b"got<" not in seen.replace(b'"got<', b""):
                if select.select([terminal], [], [], 0.1)[0]:
                    seen += os.read(terminal, 65536)
            self.assertIn(b"got<check -o pool.reuse=always", seen)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(terminal)


if __name__ == "__main__":
    Completion.name = sys.argv[1]
    if not shutil.which(Completion.name):
        print(f"skipped: {Completion.name} is not installed (apt-get install {Completion.name})")
        sys.exit(program.SKIPPED)
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
