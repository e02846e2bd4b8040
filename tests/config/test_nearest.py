from sdserve.config.nearest import suggestion


def test_a_near_name_is_suggested():
    assert suggestion("thread", ["threads", "count"]) == ", did you mean threads?"


def test_case_does_not_matter_and_the_name_keeps_its_own():
    assert suggestion("listen:name", ["listen:NAME", "app"]) == ", did you mean listen:NAME?"


def test_without_a_near_name_all_are_listed_if_asked_for():
    assert (
        suggestion("bind", ["threads", "count"], listing="the options are")
        == "; the options are: threads, count"
    )
    assert suggestion("bind", ["threads", "count"]) == ""


def test_of_nothing_nothing_is_suggested():
    assert suggestion("bind", [], listing="the options are") == ""
