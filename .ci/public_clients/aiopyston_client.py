"""PystonClient of aiopyston against a backend."""

from __future__ import annotations

import os

from pyston import File, PystonClient
from steps import expect, expect_in, failure, run, step


async def _steps() -> None:
    client = PystonClient(base_url=os.environ["BACKEND"] + "/api/v2/")
    with step("list"):
        expect("python" in await client.languages(), True)
        (runtime, *_) = await client.get_runtimes("py")
        expect(runtime.language, "python")
    with step("execute"):
        done = await client.execute("python", [File("print('héllo')")])
        expect((str(done), done.run_stage.code, done.run_stage.signal), ("héllo\n", 0, None))
        expect((done.langauge, done.version), ("python", runtime.version))
        compiled = await client.execute("c", [File("int main(void) { return 3; }")])
        expect((compiled.compile_stage.code, compiled.run_stage.code), (0, 3))
    with step("input"):
        code = "import sys, helper\nprint(sys.argv[1:], input(), helper.X)"
        files = [File(code, "main.py"), File("X = 1", "helper.py")]
        done = await client.execute("python", files, stdin="line", args=["a", "b c"])
        expect(str(done), "['a', 'b c'] line 1\n")
    with step("state"):
        await client.execute("python", [File("open('left', 'w')")])
        done = await client.execute("python", [File("import os; print(os.path.exists('left'))")])
        expect(str(done), "False\n")
    with step("errors"):
        done = await client.execute("python", [File("1 / 0")])
        expect(done.run_stage.code, 1)
        expect_in("ZeroDivisionError", done.run_stage.output)
        slow = await client.execute("python", [File("while True: pass")], run_timeout=500)
        expect(slow.run_stage.signal, "SIGKILL")
        unknown = await failure(lambda: client.execute("nonesuch", [File("")]))
        expect_in("nonesuch-* runtime is unknown", unknown)
    await client.close_session()


if __name__ == "__main__":
    run(_steps, _steps)
