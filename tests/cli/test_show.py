def test_values_are_aligned_and_sections_apart(shell):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[environment]\nA = " + "x" * 50 + "\n")
    code, out, err = shell.run("show", "shop")
    assert (code, err) == (0, [])
    assert out[:7] == [
        f"app.application        = a:b                                       # {shell.path}/etc/shop.ini:2",
        'app.directory          = ""                                        # default',
        'app.venv               = ""                                        # default',
        "app.interface          = auto                                      # default",
        "app.preload            = no                                        # default",
        "",
        "listen:http.address    = 127.0.0.1:8000                            # default",
    ]
    assert out[-2:] == ["", f"environment.A          = {'x' * 50}  # {shell.path}/etc/shop.ini:4"]


def test_what_a_terminal_would_obey_is_escaped(shell):
    shell.write("etc/shop.ini", "[app]\napplication = a:b\n[environment]\nA = a\u202eb\n")
    assert shell.run("show", "shop")[1][-1].startswith("environment.A          = a\\u202eb  ")
