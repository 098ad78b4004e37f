"""The man pages: all are there, say what --help says, and are right for man."""
import re
import shutil
import subprocess
import sys
import unittest

import program

PAGES = program.warmpool("help", "--man-pages").split()


def source(page):
    return program.warmpool("help", "--man", page)


def plain(text):
    return re.sub(r"\\f[BRI]|\\&", "", text).replace("\\-", "-").replace("\\(aq", "'").replace("\\(ti", "~").replace("\\(ha", "^").replace("\\e", "\\")


def squeezed(text):
    return re.sub(r"\s+", " ", text.replace("`", ""))


class Pages(unittest.TestCase):
    def test_each_subcommand_has_one_and_the_program_and_the_configuration(self):
        wanted = {"warmpool.1", "warmpool.ini.5"} | {f"warmpool-{name}.1" for name in program.subcommands()}
        self.assertEqual(set(PAGES), wanted)
        self.assertEqual(len(PAGES), len(wanted))

    def test_a_page_may_be_named_without_its_section(self):
        self.assertEqual(source("warmpool-send"), source("warmpool-send.1"))
        self.assertEqual(source("warmpool.ini"), source("warmpool.ini.5"))

    def test_an_unknown_page_is_refused_with_how_to_list_them(self):
        for page in "warmpool-sent", "warmpool-send.5", "warmpool-", "", "send", "warmpool.ini.1":
            got = subprocess.run([program.WARMPOOL, "help", "--man", page], capture_output=True, text=True)
            self.assertEqual((got.returncode, got.stdout), (2, ""), page)
            self.assertIn("`warmpool help --man-pages` lists them", got.stderr)

    def test_options_are_those_of_help(self):
        for name in program.subcommands():
            tags = re.findall(r"^\.TP\n(.+)$", source(f"warmpool-{name}").split(".SH \"OPTIONS\"")[1].split(".SH")[0], re.M)
            found = program.named(re.fullmatch(program.OPTION, plain(tag)) for tag in tags)
            self.assertEqual(found, program.options(name), name)
            self.assertIn("--help", found)

    def test_the_program_lists_its_subcommands(self):
        text = source("warmpool.1")
        for name in program.subcommands():
            self.assertIn(f".BR warmpool\\-{name} (1)\n", text)

    def test_the_configuration_has_every_key_with_its_text(self):
        text = squeezed(plain(source("warmpool.ini.5")))
        rows = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", (program.ROOT / "docs" / "configuration.md").read_text(), re.M)
        self.assertGreater(len(rows), 100)
        for key, meaning in rows:
            self.assertIn(f" {key} ", text)
            self.assertIn(squeezed(meaning), text)

    def test_lines_are_short_and_ascii(self):
        for page in PAGES:
            for line in re.sub(r"(?s)^\.nf.*?^\.fi", "", source(page), flags=re.M).splitlines():
                self.assertLessEqual(len(line), 80, page)
                self.assertTrue(line.isascii(), line)


class ForMan(unittest.TestCase):
    def lint(self, page):
        got = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=source(page), capture_output=True, text=True)
        return [line for line in got.stdout.splitlines() if "missing date" not in line]  # a page has the version instead

    def test_mandoc_has_nothing_to_complain_about(self):
        for page in PAGES:
            self.assertEqual(self.lint(page), [], page)

    def test_mandoc_would_complain(self):
        got = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=source(PAGES[0]) + ".XX\n.PP\n", capture_output=True, text=True)
        self.assertIn("unknown macro", got.stdout)

    def test_it_reads_like_help(self):
        shown = subprocess.run(["mandoc", "-T", "ascii"], input=source("warmpool-hosts"), capture_output=True, text=True).stdout
        shown = re.sub(".\b", "", shown)
        self.assertIn("WARMPOOL-HOSTS(1)", shown)
        self.assertIn("warmpool hosts [OPTION]... [show NAME | forget NAME]", squeezed(shown))
        self.assertIn("--timeout SECONDS", shown)

    def test_examples_can_be_copied(self):
        for name in program.subcommands():
            examples = program.warmpool("help", name).split("Examples:\n")[1].split("\n\n")[0]
            shown = subprocess.run(["mandoc", "-T", "utf8"], input=source(f"warmpool-{name}"), capture_output=True, text=True).stdout
            shown = re.sub(".\b", "", shown)
            for line in examples.splitlines():
                self.assertIn(line.strip() + "\n", shown)


if __name__ == "__main__":
    if not shutil.which("mandoc"):
        print("skipped: mandoc is not installed (apt-get install mandoc)")
        sys.exit(program.SKIPPED)
    unittest.main()
