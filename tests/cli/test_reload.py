from __future__ import annotations

from sdserve.host.control_client import RefusedError


def test_a_reload_prints_what_came_of_it(shell, instance):
    instance.answer = {"message": "generation 2 serves\nwith a remark"}
    assert shell.run("reload", "shop") == (0, ["generation 2 serves", "with a remark"], [])
    assert instance.calls == [("shop", "Reload", None, None)]


def test_certificates_alone_can_be_read_again(shell, instance):
    instance.answer = {"message": "new ones"}
    assert shell.run("reload", "shop", "--certificates", "--timeout", "5s") == (0, ["new ones"], [])
    assert instance.calls == [("shop", "ReloadCertificates", None, 5.0)]


def test_a_reload_that_failed_prints_the_whole_reason_and_fails(shell, instance):
    instance.answer = RefusedError("no module\nshop\x1b[31m")
    assert shell.run("reload", "shop") == (1, [], ["no module", "shop\\x1b[31m"])


def test_an_interrupted_reload_says_that_it_goes_on(shell, instance):
    instance.answer = KeyboardInterrupt()
    code, out, err = shell.run("reload", "./shop.ini")
    assert (code, out) == (130, [])
    assert err == ["sdserve: the reload of shop goes on; `sdserve status shop` tells how"]
