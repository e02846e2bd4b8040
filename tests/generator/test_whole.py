from sdserve.config import ini
from sdserve.generator import whole


def read(text):
    sections, problems = ini.read(text.encode(), "shop.ini")
    assert problems == []
    return whole.read(("shop.ini", section) for section in sections)


def test_it_reads_what_is_unusual():
    (http,) = read(
        "[listen:http]\naddress = [fe80:0::1]:80\n  '/run/a b.sock'\ndefer_accept = 1m30s\nowner = 33\n"
    )
    assert http.addresses == ("[fe80::1]:80", "unix:/run/a b.sock")
    assert (http.defer_accept, http.owner, http.backlog) == (90.0, "33", 2048)


def test_no_value_is_the_default():
    first, _ = ini.read(b"[listen:http]\nbacklog = 5\n", "a")
    second, _ = ini.read(b"[listen:http]\nbacklog =\n", "b")
    (http,) = whole.read([("a", first[0]), ("b", second[0])])
    assert http.backlog == 2048
