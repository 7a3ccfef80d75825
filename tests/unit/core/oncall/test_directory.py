import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Contact, Recipient
from notifyflow.core.delivery.policy import DEFAULT, SHIPPED, Policy, Repeat, Tier
from notifyflow.core.oncall.directory import NOBODY, Directory, Route, read_directory
from notifyflow.core.oncall.reach import Reach, paging, reach
from notifyflow.errors import InvalidDirectory

CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")
GOOD = """
[recipients.ada]
name = "Ada"
email = "ada@example.com"
phone = "+15005550006"
timezone = "Europe/Berlin"
addresses = { pager = "5" }

[recipients.ben]
slack = "C1"

[groups]
orders = ["ada", "ben"]
nobody-yet = []

[[routes]]
match = { team = "orders", severity = ["critical", "err*"] }
to = ["orders", "ada"]
policy = "insistent"

[[routes]]
keys = ["grafana*", "nagios"]
to = ["nobody-yet"]

[[routes]]
match = { instance = "*.eu:*" }
keys = "prometheus"
to = ["ben"]

[default]
to = ["ada"]
"""


def read(document: str, policies: Mapping[str, Policy] = SHIPPED) -> Directory:
    return read_directory(document, policies)


def faults(document: str) -> list[str]:
    with pytest.raises(InvalidDirectory) as refused:
        read(document)
    return [str(fault) for fault in refused.value.faults]


def check(channel: str, address: str) -> str:
    if "bad" in address:
        raise ValueError(f"is no address for {channel}")
    return address


def test_a_directory_is_what_its_file_says():
    directory = read(GOOD)
    assert directory.recipients["ada"] == Recipient(
        id="ada",
        name="Ada",
        email="ada@example.com",
        phone="+15005550006",
        timezone="Europe/Berlin",
        addresses={"pager": "5"},
    )
    assert directory.groups == {"orders": ("ada", "ben"), "nobody-yet": ()}
    assert directory.routes[0] == Route(
        to=("orders", "ada"), match={"team": ("orders",), "severity": ("critical", "err*")}, policy="insistent"
    )
    assert directory.default == Route(to=("ada",))


@pytest.mark.parametrize(
    ("labels", "key", "route"),
    [
        ({"team": "orders", "severity": "error"}, "prometheus", 0),
        ({"team": "orders", "severity": "critical", "more": ""}, "grafana-1", 0),
        ({"team": "orders", "severity": "warning"}, "grafana-1", 1),
        ({"team": "orders"}, "nagios", 1),
        ({"instance": "db.eu:9100"}, "prometheus", 2),
        ({"instance": "db.eu:9100\nodd"}, "prometheus", 2),
        ({"instance": "dbxeu:9100"}, "prometheus", None),
        ({"instance": "db.eu:9100"}, "another", None),
        ({"team": "orders-2", "severity": "critical"}, "another", None),
        ({}, "", None),
    ],
)
def test_the_first_route_that_fits_counts(labels: dict[str, str], key: str, route: int | None):
    directory = read(GOOD)
    assert directory.route(labels, key) == (directory.default if route is None else directory.routes[route])


@given(st.text("ab*", max_size=8), st.text("ab*\n", max_size=10))
def test_a_star_stands_for_any_characters(pattern: str, value: str):
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, re.DOTALL)
    assert Route(to=(), match={"team": (pattern,)}).fits({"team": value}, "") is bool(expected)


@pytest.mark.parametrize("pattern", ["*a" * 200 + "*b", "*" * 2_000 + "b", "*aab" * 100 + "*"])
def test_no_value_makes_a_pattern_slow(pattern: str):
    route = Route(to=(), match={"team": (pattern,)})
    # tried back and forth, one of them would take longer than the suite's time-out
    assert not any(route.fits({"team": "a" * length}, "") for length in range(900, 1_000))


def test_the_policies_for_a_person_are_those_of_all_routes_that_lead_there_in_any_step_by_any_name():
    document = """
    recipients = { ada = {}, ben = {}, cy = {}, dan = {} }
    groups.leads = ["cy"]
    routes = [
        { match = { team = "a" }, to = ["ada"], then = [{ to = ["@primary"], after = "5m" }] },
        { match = { team = "b" }, to = ["ben", "leads"], policy = "default" },
        { match = { team = "c" }, to = ["cy"], policy = "default" },
    ]
    default.to = ["ada"]
    [schedules.primary]
    timezone = "UTC"
    layers = [{ who = ["ben"], from = 2026-01-05T09:00:00, every = "1w" }]
    """
    directory = read_directory(document, SHIPPED)
    found = {each: directory.policies_for(each) for each in ("ada", "ben", "cy", "dan")}
    assert found == {"ada": ("insistent",), "ben": ("insistent", "default"), "cy": ("default",), "dan": ("insistent",)}


def test_everybody_at_the_end_of_a_route_stands_there_once():
    directory = read(GOOD)
    assert [each.id for each in directory.at(directory.routes[0])] == ["ada", "ben"]


def test_numbers_are_those_of_whoever_stands_at_the_end_of_a_route():
    def check(channel: str, number: str) -> str:
        if not number.startswith("+"):
            raise ValueError("is not a number")
        return number.replace(" ", "")

    people = {
        "ada": Recipient(id="ada", phone="+1 500"),
        "ben": Recipient(id="ben", addresses={"sms": "+1500"}),
        "cyd": Recipient(id="cyd", phone="bad"),
        "dan": Recipient(id="dan", phone="+1600"),
        "eve": Recipient(id="eve", email="eve@example.com"),
    }
    routes = (Route(to=("both",), keys=("a",)), Route(to=("ben", "cyd"), keys=("b",)))
    directory = Directory(recipients=people, groups={"both": ("ada", "ben")}, routes=routes, default=Route(to=("eve",)))
    assert directory.numbers(check, ["sms"]) == {"+1500": ("ada", "ben")}


def test_an_address_that_it_knows_is_known_as_it_is_sent_to():
    def check(channel: str, address: str) -> str:
        if channel == "fax":
            raise KeyError(channel)
        if address == "bad":
            raise ValueError("is no address")
        return address.lower()

    people = {
        "ada": Recipient(id="ada", email="Ada@example.com", phone="+1500"),
        "ben": Recipient(id="ben", email="bad", addresses={"fax": "+1600"}),
    }
    directory = Directory(recipients=people, default=Route(to=("ada",)))
    assert directory.addresses(check) == {"ada@example.com", "+1500"}


def test_people_on_routes_have_the_channels_on_which_they_have_a_valid_address():
    def check(channel: str, address: str) -> str:
        if address == "bad":
            raise ValueError("is no address")
        return address

    people = {
        "ada": Recipient(id="ada", email="ada@example.com", phone="+1500"),
        "ben": Recipient(id="ben", email="bad"),
        "eve": Recipient(id="eve", email="eve@example.com"),
    }
    directory = Directory(recipients=people, routes=(Route(to=("ben",), keys=("a",)),), default=Route(to=("ada", "cyd")))
    assert directory.people(check) == {"ada": {"email", "sms", "voice"}, "ben": set(), "cyd": set()}


def test_a_group_of_nobody_is_somebody_without_an_address():
    directory = read(GOOD)
    assert directory.at(directory.routes[1]) == (Recipient(id="nobody-yet"),)
    assert NOBODY.at(NOBODY.route({"any": "label"}, "any key")) == (Recipient(id="no-directory"),)


def test_all_faults_are_listed_at_once():
    assert faults(
        """
        [recipients]
        ada = { email = 5, mail = "ada@example.com" }
        " ben" = {}
        cy = "cy@example.com"
        orders = {}
        [groups]
        orders = ["adda", "cy"]
        broken = "ada"
        "" = []
        [[routes]]
        to = ["orders"]
        [[routes]]
        match = { team = [], host = 5 }
        keys = "k"
        to = []
        policy = "insistant"
        [[routes]]
        match = { team = "a" }
        to = "ada"
        [[routes]]
        match = "team"
        keys = 1
        to = ["broken", "ghost"]
        [[routes]]
        match = { team = "a" }
        [default]
        match = {}
        to = ["cy"]
        """
    ) == [
        "recipients.ada.mail: 'mail' is not a known field. Use email, if that was meant.",
        "recipients.ada.email: 5 is not text. Put it in quotes.",
        "recipients.cy: 'cy@example.com' is not a table. Give fields and their values.",
        "groups.broken: 'ada' is not a list. Put it in [ ].",
        "routes[1].match.host: 5 is not a list. Put it in [ ].",
        "routes[2].to: 'ada' is not a list. Put it in [ ].",
        "routes[3].match: 'team' is not a table. Give fields and their values.",
        "routes[3].keys: 1 is not a list. Put it in [ ].",
        "routes[4].to: it is missing. Give it a value.",
        "default.match: 'match' is not a known field. Use one of to, policy, then, over_after.",
        "recipients. ben: ' ben' has control characters or blanks that do not show. Leave them out.",
        "groups.orders: a recipient has this name, too. Rename one of them.",
        "groups.orders: 'adda' is not a known recipient. Use ada, if that was meant.",
        "groups.: it is empty. Give it a name of its own.",
        "routes[0].match: it matches every alert and hides the routes after it. Name labels, or make it the default route.",
        "routes[1].to: it is empty. Name recipients, groups or schedules.",
        "routes[1].match.team: it matches nothing. Give at least one pattern.",
        "routes[1].policy: 'insistant' is not a known policy. Use insistent, if that was meant.",
        "routes[3].to: 'ghost' is not a known recipient or group. Use one of ada,  ben, cy, orders, broken, .",
    ]


@pytest.mark.parametrize(
    ("document", "where"),
    [("", "default"), ("default = 5", "default"), ("routes = 5\n[default]\nto = []", "routes"), ("[default", "document")],
)
def test_a_file_without_a_default_route_is_none(document: str, where: str):
    assert faults(document)[0].startswith(f"{where}: ")


def test_everybody_who_could_not_be_reached_is_named_with_the_reason():
    document = """
        [recipients.ada]
        email = "ada@example.com"
        phone = "bad"
        timezone = "Berlin"
        [recipients.ben]
        slack = "C1"
        [recipients.cy]
        addresses = { pager = "5" }
        [recipients.di]
        teams = "https://example.com"
        [groups]
        void = []
        [[routes]]
        match = { team = "orders" }
        to = ["ben", "void", "cy"]
        [default]
        to = ["ada", "ben"]
        """
    found = reach(document, check, CHANNELS, ["email", "teams"], SHIPPED)
    assert found.ways == {"ada": ("email",), "ben": (), "cy": (), "di": ("teams",)}
    assert [(fault.where, fault.what) for fault in found.faults] == [
        ("recipients.ada.phone", "'b…' (3 characters) is no address for sms"),
        ("recipients.ada.phone", "'b…' (3 characters) is no address for voice"),
        ("recipients.ada.timezone", "'Berlin' is not a time zone"),
        ("recipients.ben", "no provider carries slack"),
        ("recipients.cy.addresses.pager", "'pager' is not a known channel"),
        ("groups.void", "it has no members"),
        ("routes[0]", "none of its recipients can be reached"),
    ]


def test_an_unusual_address_that_is_accepted_is_a_warning_and_no_fault():
    document = """
    [recipients.ada]
    phone = "+1555"
    email = "ada@example.com"

    [default]
    to = ["ada"]
    """
    found = reach(
        document, check, CHANNELS, CHANNELS, SHIPPED, warn=lambda channel, _: "is odd" if channel in ("sms", "voice") else ""
    )
    assert found.faults == ()
    assert [str(warning) for warning in found.warnings] == [
        "recipients.ada.phone: '+…' (5 characters) is odd. Look whether it is mistyped; it is used as it is.",
    ]


def test_a_policy_that_uses_none_of_somebodys_channels_reaches_them_not():
    policies = {"calls": Policy(name="calls", tiers=(Tier(name="calls", channels=("voice", "sms")),))}
    found = reach('[recipients.ada]\nemail = "a"\n[default]\nto = ["ada"]\npolicy = "calls"', check, CHANNELS, CHANNELS, policies)
    assert [(fault.where, fault.what) for fault in found.faults] == [
        ("default", "ada can be reached by email, which the policy calls does not use"),
        ("default", "none of its recipients can be reached"),
    ]


def test_a_directory_in_order_has_no_fault():
    document = '[recipients.ada]\nemail = "a"\n[groups]\nall = ["ada"]\n[default]\nto = ["all"]'
    found = reach(document, check, CHANNELS, CHANNELS, SHIPPED)
    insistent = {"default": "insistent, which pages on until somebody acknowledges"}
    people = {"ada": Contact(recipient_id="ada", name="ada", addresses={"email": "a"})}
    assert found == Reach(people=people, faults=(), is_usable=True, paging=insistent, directory=read(document))


def test_somebody_whose_pages_are_never_shown_to_have_arrived_is_named():
    voices = '[recipients.ada]\naddresses = { voice = "1" }\n[recipients.ben]\naddresses = { voice = "2", email = "b" }'
    people = f'{voices}\n[recipients.cyd]\nemail = "c"'
    document = f'{people}\n[default]\nto = ["ada", "ben", "cyd"]'
    found = reach(document, check, ["email", "voice"], ["voice"], SHIPPED, showing=["email"])
    assert [(fault.where, fault.what) for fault in found.warnings] == [
        ("recipients.ada", "nothing shows that a page to ada arrived, unless they respond: they have voice only"),
        ("recipients.ben", "nothing shows that a page to ben arrived, unless they respond: they have voice only"),
    ]
    assert reach(document, check, ["email", "voice"], ["voice"], SHIPPED).warnings == ()


def test_who_prefers_only_channels_that_nothing_carries_is_named_with_the_severities():
    channels = '{ INFO = ["teams", "email"], WARNING = ["teams"], ERROR = ["teams", "email"], CRITICAL = ["teams"] }'
    person = f'[recipients.ada]\nemail = "a"\nteams = "https://example.com"\nchannels = {channels}\n'
    found = reach(f'{person}[default]\nto = ["ada"]', check, CHANNELS, ["email"], SHIPPED)
    assert [(fault.where, fault.what) for fault in found.faults] == [
        ("recipients.ada", "no provider carries teams"),
        ("recipients.ada.channels", "ada cannot be reached for WARNING and INFO by the channels that they prefer"),
    ]


def test_a_route_without_a_policy_pages_until_somebody_acknowledges():
    directory = read(
        'routes = [{ match = { team = "a" }, to = ["ada"] }]\n[recipients.ada]\nemail = "a"\n[default]\nto = ["ada"]'
    )
    assert (directory.routes[0].policy, directory.default.policy) == ("insistent", "insistent")


def test_a_routes_policy_is_shown_with_what_ends_it():
    chat = Policy(name="chat", tiers=DEFAULT.tiers, repeat=Repeat(every=timedelta(minutes=5), rounds=2))
    directory = read(
        """
        routes = [
            { match = { team = "a" }, to = ["ada"], policy = "default" },
            { match = { team = "b" }, to = ["ada"], policy = "chat" },
        ]
        [recipients.ada]
        email = "a"
        [default]
        to = ["ada"]
        """,
        {**SHIPPED, "chat": chat},
    )
    assert paging(directory, {**SHIPPED, "chat": chat}) == {
        "routes[0]": (
            "default, which goes by the outcome only: an accepted message is the end of it, whether anybody has read it or not"
        ),
        "routes[1]": "chat, which pages on until somebody acknowledges",
        "default": "insistent, which pages on until somebody acknowledges",
    }


def test_who_could_not_be_reached_is_named_beside_what_makes_the_file_unusable():
    document = """
        routes = [5, { match = { team = "a" }, to = ["dee"] }, { match = { team = "b" }, to = ["ben"], policy = "loud" }]
        [recipients.ada]
        email = 5
        phone = "bad"
        [recipients.ada-2]
        phone = "bad"
        [recipients.ben]
        slack = "C1"
        [default]
        to = ["ben"]
        """
    found = reach(document, check, CHANNELS, ["email"], SHIPPED)
    assert not found.is_usable
    assert found.ways == {"ada": (), "ada-2": (), "ben": ()}
    assert [(fault.where, fault.what) for fault in found.faults] == [
        ("recipients.ada.email", "5 is not text"),
        ("routes[0]", "5 is not a table"),
        ("routes[1].to", "'dee' is not a known recipient or group"),
        ("routes[2].policy", "'loud' is not a known policy"),
        ("recipients.ada.phone", "'b…' (3 characters) is no address for sms"),
        ("recipients.ada.phone", "'b…' (3 characters) is no address for voice"),
        ("recipients.ada-2.phone", "'b…' (3 characters) is no address for sms"),
        ("recipients.ada-2.phone", "'b…' (3 characters) is no address for voice"),
        ("recipients.ben", "no provider carries slack"),
        ("default", "none of its recipients can be reached"),
    ]


def test_a_file_that_is_no_toml_names_nobody():
    with pytest.raises(InvalidDirectory):
        reach("[default", check, CHANNELS, CHANNELS, SHIPPED)


def test_a_route_is_named_by_where_it_stands():
    directory = read(GOOD)
    places = [directory.place(each) for each in (*directory.routes, directory.default)]
    assert places == ["routes[0]", "routes[1]", "routes[2]", "default"]
