"""Client of piston_rspy against a backend."""

from __future__ import annotations

import os

from piston_rspy import Client, Executor, File
from steps import expect, expect_in, run, step


async def _steps() -> None:
    client = Client.with_url(os.environ["BACKEND"] + "/api/v2")

    async def execute(language: str, *files: File, **options: object) -> object:
        executor = Executor(language=language, version="*", files=list(files), **options)
        return await client.execute(executor)

    def file(content: str, name: str = "") -> File:
        return File(name=name, content=content)

    with step("list"):
        (runtime, *_) = [it for it in await client.fetch_runtimes() if it.language == "python"]
        expect("py" in runtime.aliases, True)
    with step("execute"):
        done = await execute("python", file("print('héllo')"))
        expect((done.is_ok(), done.status, done.run.is_ok()), (True, 200, True))
        expect((done.run.stdout, done.run.code, done.run.signal), ("héllo\n", 0, None))
        expect((done.language, done.version), ("python", runtime.version))
        compiled = await execute("c", file("int main(void) { return 3; }", "main.c"))
        expect((compiled.compile.code, compiled.run.code), (0, 3))
    with step("input"):
        code = "import sys, helper\nprint(sys.argv[1:], input(), helper.X)"
        files = file(code, "main.py"), file("X = 1", "helper.py")
        done = await execute("python", *files, stdin="line", args=["a", "b c"])
        expect(done.run.stdout, "['a', 'b c'] line 1\n")
    with step("state"):
        await execute("python", file("open('left', 'w')"))
        done = await execute("python", file("import os; print(os.path.exists('left'))"))
        expect(done.run.stdout, "False\n")
    with step("errors"):
        done = await execute("python", file("1 / 0"))
        expect((done.run.is_err(), done.run.code), (True, 1))
        expect_in("ZeroDivisionError", done.run.stderr)
        slow = await execute("python", file("while True: pass"), run_timeout=500)
        expect(slow.run.signal, "SIGKILL")
        unknown = await execute("nonesuch", file(""))
        expect((unknown.is_err(), unknown.status), (True, 400))
        expect_in("nonesuch-* runtime is unknown", unknown.run.stderr)


if __name__ == "__main__":
    run(_steps, _steps)
