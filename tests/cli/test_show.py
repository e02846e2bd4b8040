import re


def test_values_are_aligned_and_sections_apart(shell):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[environment]\nA = " + "x" * 50 + "\n")
    code, out, err = shell.run("show", "shop")
    assert (code, err) == (0, [])
    width = max(len(line.partition(" = ")[0].rstrip()) for line in out)  # of the longest name
    expected = [
        ("app.application", "a:b", f"{shell.path}/etc/shop.ini:2"),
        ("app.directory", '""', "default"),
        ("app.venv", '""', "default"),
        ("app.interface", "auto", "default"),
        ("app.preload", "no", "default"),
        "",
        ("listen:http.address", "127.0.0.1:8000", "default"),
    ]
    lines = [line and f"{line[0]:<{width}} = {line[1]:<40}  # {line[2]}" for line in expected]
    assert out[:7] == lines
    assert out[-2:] == ["", f"{'environment.A':<{width}} = {'x' * 50}  # {shell.path}/etc/shop.ini:4"]


def test_what_a_terminal_would_obey_is_escaped(shell):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[environment]\nA = a\u202eb\n")
    assert re.match(r"environment\.A += a\\u202eb  ", shell.run("show", "shop")[1][-1])
