"""The test of arrows and circles sees what is planted, and the tree has no more of them than known.txt says."""
import pathlib, sys, tempfile, unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import arrows


class Planted(unittest.TestCase):
    def look(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, "worker", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return arrows.look(pathlib.Path(folder))

    def test_what_points_one_way_is_well(self):
        self.assertEqual(self.look({"core/a.h": "void a(void);", "core/a.c": '#include "core/a.h"\nvoid a(void) {}\n',
                                    "wire/b.c": '#include "core/a.h"\nvoid b(void) { a(); }\n'}), set())

    def test_an_include_that_runs_back_is_seen(self):
        self.assertEqual(self.look({"wire/b.h": "", "core/a.c": '#include "wire/b.h"\n'}), {"arrow core/a -> wire/b"})

    def test_a_call_that_runs_back_is_seen_without_an_include(self):
        self.assertEqual(self.look({"wire/b.c": "void b(void) {}\n", "core/a.c": "void b(void);\nvoid a(void) { b(); }\n"}),
                         {"arrow core/a -> wire/b"})

    def test_a_circle_through_a_shared_header_is_seen(self):
        self.assertEqual(self.look({"pool/own.h": "void a(void);\nvoid b(void);\n",
                                    "pool/a.c": '#include "pool/own.h"\nvoid a(void) { b(); }\n',
                                    "pool/b.c": '#include "pool/own.h"\nvoid b(void) { a(); }\n'}), {"circle pool/a pool/b"})

    def test_a_word_in_a_comment_or_text_is_no_call(self):
        self.assertEqual(self.look({"wire/b.c": "void b(void) {}\n", "core/a.c": '/* b() */\nconst char *a = "b()";\n'}), set())


class Tree(unittest.TestCase):
    def test_the_tree_has_no_more_than_is_known(self):
        self.assertEqual(arrows.main([str(pathlib.Path(__file__).resolve().parents[2])]), 0)


if __name__ == "__main__":
    unittest.main()
