#!/usr/bin/env python3
"""Asks ansible-core what AnsibleModule answers for a module that has options of every kind and every rule among them,
and writes it down for the tests.

    generate.py LIBRARIES

LIBRARIES is a folder for the versions of ansible-core; they are fetched where they are missing.
The answers of the newest version are the reference; where older ones differ, they are listed in versions.json.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from ansible_core import (  # pylint: disable=wrong-import-position
    NEWEST, VERSIONS, answers_of_all_versions, json_object, run_module, write,
)

# The same table as in tests/artificial/spec.rs.
KEY = dict(
    type="list",
    elements="dict",
    options=dict(
        type=dict(type="str", choices=["rsa", "ed25519"], default="rsa"),
        data=dict(type="str", required=True, no_log=True),
        bits=dict(type="int"),
    ),
)
SERVER = dict(
    type="dict",
    aliases=["srv"],
    options=dict(
        host=dict(type="str", required=True, aliases=["address", "fqdn"]),
        port=dict(type="int", default=80),
        mode=dict(type="str", choices=["tcp", "udp"], default="tcp"),
        user=dict(type="str"),
        password=dict(type="str", no_log=True, aliases=["passwd"]),
        token=dict(type="str", no_log=True),
        folder=dict(type="path"),
        timeout=dict(type="float"),
        proxy=dict(type="str"),
        via=dict(type="str"),
        ports=dict(type="list", elements="int"),
        tls=dict(
            type="dict",
            apply_defaults=True,
            options=dict(
                verify=dict(type="bool", default=True),
                version=dict(type="str", choices=["1.2", "1.3"]),
                key=dict(type="str", no_log=True, default="k3y"),
                ciphers=dict(type="list", elements="str"),
            ),
            mutually_exclusive=[["version", "ciphers"]],
        ),
    ),
    mutually_exclusive=[["password", "token"]],
    required_together=[["user", "password"]],
    required_one_of=[["user", "token", "port"]],
    required_if=[["mode", "udp", ["timeout"]], ["port", 99, ["proxy", "via"], True]],
    required_by=dict(proxy=["via"]),
)
USERS = dict(
    type="list",
    elements="dict",
    options=dict(
        name=dict(type="str", required=True),
        uid=dict(type="int"),
        groups=dict(type="list", elements="str", choices=["wheel", "users"]),
        password=dict(type="str", no_log=True),
        state=dict(type="str", choices=["present", "absent"], default="present"),
        home=dict(type="path"),
        keys=KEY,
    ),
    required_one_of=[["uid", "home", "groups", "keys", "password"]],
    required_if=[["state", "present", ["uid"]]],
    required_by=dict(password="uid"),
)
SPECIFICATION = dict(
    name=dict(type="str", required=True, aliases=["title", "label"]),
    text=dict(type="str"),
    input=dict(type="str"),
    greeting=dict(type="str", default="hello"),
    number=dict(type="int", default=5),
    count=dict(type="int"),
    ratio=dict(type="float", default=0.5),
    flag=dict(type="bool", default=False, aliases=["switch"]),
    folder=dict(type="path"),
    anything=dict(type="raw"),
    words=dict(type="list"),
    names=dict(type="list", elements="str", default=["a", "b"]),
    colours=dict(type="list", elements="str", choices=["red", "green", "blue"]),
    numbers=dict(type="list", elements="int"),
    ratios=dict(type="list", elements="float"),
    flags=dict(type="list", elements="bool"),
    folders=dict(type="list", elements="path"),
    things=dict(type="list", elements="raw"),
    tables=dict(type="list", elements="dict"),
    lists=dict(type="list", elements="list"),
    level=dict(type="str", choices=["low", "high", "no"], default="low"),
    reply=dict(type="str", choices=["yes", "Yes", "never"]),
    secret=dict(type="str", no_log=True),
    secrets=dict(type="list", elements="str", no_log=True),
    pin=dict(type="int", no_log=True),
    vault=dict(type="dict", no_log=True),
    mapping=dict(type="dict"),
    a=dict(type="str"),
    b=dict(type="str"),
    c=dict(type="str"),
    d=dict(type="int"),
    e=dict(type="bool"),
    f=dict(type="str"),
    defaulted=dict(type="dict", apply_defaults=True, options=dict(one=dict(type="int", default=1), two=dict(type="str"))),
    plain=dict(type="dict", options=dict(one=dict(type="int", default=1), two=dict(type="list", elements="int"))),
    server=SERVER,
    users=USERS,
)
RULES = dict(
    mutually_exclusive=[["a", "b"], ["c", "d", "e"]],
    required_together=[["e", "f"]],
    required_one_of=[["a", "b", "text"]],
    required_if=[["level", "high", ["count"]], ["number", 99, ["c", "f"], True], ["flag", True, ["count", "mapping"]]],
    required_by=dict(d=["c", "count"], ratio="names"),
)

# Values are JSON texts, because Python and Rust read some of them differently.
BASE = {"name": '"n"', "text": '"t"'}
LONG = "1" + "0" * 30
VALUES = [
    "null", "true", "false", "0", "1", "-7", "99", LONG, "0.0", "1.0", "1.5", "-0.25", "1e3", "1e22", "1e-7",
    '""', '" "', '"abc"', '"0"', '" 12 "', '"-1_000"', '"1.0"', '"1.5"', '" 2.5e-3 "', '"1_0.5"', '"1__0"', '"."', '"e5"',
    f'"{LONG}"', '"yes"', '" Off "', '"TRUE"', '"maybe"', '"None"', '"a,b"', '"a, b,,c"', '","', '"low"', '"~/x"', '"$HOME/$HOST"',
    '"k=v"', '"k=v, l=w m=\\"a b\\""', '"k=v, l"', '"a=b=c,d=\\\\,e"', '"{\\"k\\": [1, \\"v\\"]}"', '"{\'k\': True, \'l\': (1, None)}"',
    '"{k: v}"', '"{"', '"it\'s \\"q\\"\\n"', '"\\u00e9\\ud83d\\ude00"', "[]", '["a", 1, null]', '[["x"], {"k": "v"}]', "{}", '{"k": "v", "l": [1.5, {}]}',
]
KINDS = ["text", "count", "ratio", "flag", "folder", "anything", "words", "mapping", "level", "name"]
ELEMENTS = [
    '"1"', '"red,1"', "5", "1.5", "true", "null", "{}", '["1", 2, 3.0]', '["red", "Blue"]', '["yes", 0, "off"]', "[1.5, null]",
    '[[1], {"a": 1}]', '["k=v", {"l": 1}]', '["$HOME", "~", "~/a"]', "[]", '"k=v,l=w"', '["a,b", "c"]',
]
LISTS = ["names", "colours", "numbers", "ratios", "flags", "folders", "things", "tables", "lists", "secrets"]
PATHS = [
    '"~"', '"~/"', '"~root"', '"~root/x"', '"~no-such-user/x"', '"x~"', '"$HOME"', '"${HOME}/a"', '"${HOME"', '"$NONE/${NONE}"', '"a$HOST$HOST_"',
    '"$$HOST"', '"${}"', '"$"', '"\\u00e9/$HOST\\u00e9"', "5", "1.50", "true", '["~"]',
]
LEVELS = ['"high"', '"High"', '"no"', '"No"', '"False"', '"false"', '"lo"', "false", "5", '["low"]', '["low", "x"]']
REPLIES = ['"yes"', '"Yes"', '"True"', "true", "false", '"False"', '"never"', '"YES"', "null"]
SERVERS = [
    "null", "{}", '"x"', '""', "5", "true", "[]", '[{"host": "h"}]', '{"host": "h"}', '{"host": null}', '{"host": 5, "port": "81"}', '"host=h"', '"host=h, port=81"',
    '"host=h, port=x"', '"{\\"host\\": \\"h\\"}"', '"{\'host\': \'h\', \'port\': 81}"', '"{\'host\'"', '{"port": 1}', '{"host": "h", "port": "x"}',
    '{"host": "h", "port": 1.5}', '{"host": "h", "port": [1]}', '{"host": "h", "mode": "icmp"}', '{"host": "h", "mode": "TCP"}', '{"host": "h", "mode": null}',
    '{"host": "h", "mode": "udp"}', '{"host": "h", "mode": "udp", "timeout": "2.5"}', '{"host": "h", "timeout": "soon"}', '{"host": "h", "port": 99}',
    '{"host": "h", "port": "99", "via": "v"}', '{"host": "h", "port": 99, "proxy": "p"}', '{"host": "h", "proxy": "p"}', '{"host": "h", "proxy": "p", "via": null}',
    '{"host": "h", "proxy": "p", "via": "v"}', '{"host": "h", "user": "u"}', '{"host": "h", "user": "u", "password": "s3cret"}', '{"host": "h", "user": "u", "passwd": "s3cret"}',
    '{"host": "s3cret", "user": "my s3cret", "password": "s3cret"}', '{"host": "h", "password": "p", "token": "t"}', '{"host": "h", "passwd": "p", "token": "t"}',
    '{"host": "h", "passwd": "s3cret", "password": "t0p", "user": "u"}', '{"host": "h", "address": "i"}', '{"address": "i"}', '{"address": "i", "fqdn": "j"}',
    '{"host": "h", "foo": 1}', '{"host": "h", "foo": 1, "Bar": 2}', '{"foo": 1}', '{"host": "h", "folder": "~/f"}', '{"host": "h", "folder": null}', '{"host": "h", "ports": "1,2"}',
    '{"host": "h", "ports": ["1", "x"]}', '{"host": "h", "ports": {"a": 1}}', '{"host": "h", "tls": null}', '{"host": "h", "tls": {}}', '{"host": "h", "tls": {"verify": "no"}}',
    '{"host": "h", "tls": {"verify": "perhaps"}}', '{"host": "h", "tls": {"version": "1.3"}}', '{"host": "h", "tls": {"version": 1.3}}', '{"host": "h", "tls": {"version": 1.1}}',
    '{"host": "h", "tls": {"version": "1.2", "ciphers": "a,b"}}', '{"host": "k3y", "tls": {"ciphers": ["k3y", 5]}}', '{"host": "h", "tls": {"key": "t0p", "ciphers": ["a t0p"]}}',
    '{"host": "h", "tls": {"foo": 1}}', '{"host": "h", "tls": {"ciphers": [{"a": "b"}], "foo": {"bar": 1}}}', '{"host": "h", "tls": "verify=no"}', '{"host": "h", "tls": "verify"}',
    '{"host": "h", "tls": 5}', '{"host": "h", "tls": [{"verify": true}]}', '{"host": "h", "tls": {"ciphers": 5}}', '{"host": "h", "tls": {"ciphers": {}}}',
]
USER_LISTS = [
    "null", "[]", "{}", '"x"', "5", '[null]', "[5]", '["x"]', '[["x"]]', '[{}]', '{"name": "n", "uid": 1}', '[{"name": "n", "uid": "1"}]', '[{"name": "n", "uid": 1}, {"uid": 2}]',
    '[{"name": "n"}]', '[{"name": "n", "state": "absent"}]', '[{"name": "n", "state": "absent", "home": "$HOME"}]', '[{"name": "n", "state": "gone"}]',
    '[{"name": "n", "uid": 1}, {"name": "m", "uid": "x"}]', '[{"name": "n", "uid": 1, "groups": "wheel"}]', '[{"name": "n", "uid": 1, "groups": "wheel,adm"}]',
    '[{"name": "n", "uid": 1, "groups": ["users", "Wheel", 5]}]', '[{"name": "n", "uid": 1, "groups": null}]', '[{"name": "n", "uid": 1, "groups": {}}]',
    '[{"name": "n", "uid": 1, "password": "s3cret"}, {"name": "s3cret", "uid": 2}]', '[{"name": "n", "state": "absent", "password": "s3cret"}]',
    '[{"name": "n", "uid": 1, "foo": 1}]', '[{"name": "n", "uid": 1, "foo": 1}, {"name": "m", "uid": 1, "bar": 2}]', '["name=n uid=1"]', '"name=n"', '"name=n uid=1"',
    '["{\\"name\\": \\"n\\", \\"uid\\": 1}", {"name": "m", "uid": 2}]', '["{\'name\': \'n\', \'uid\': 1}"]', '[{"name": "n", "uid": 1, "keys": [{"data": "s3cret"}]}]',
    '[{"name": "s3cret", "uid": 1, "keys": [{"data": "s3cret", "bits": "2048"}, {"data": "t0p"}]}]', '[{"name": "n", "uid": 1, "keys": [{"data": "d", "type": "dsa"}]}]',
    '[{"name": "n", "uid": 1, "keys": [{"type": "rsa"}]}]', '[{"name": "n", "uid": 1, "keys": [{"data": "d", "bits": "many"}]}]', '[{"name": "n", "uid": 1, "keys": {"data": "d"}}]',
    '[{"name": "n", "uid": 1, "keys": "data=d"}]', '[{"name": "n", "uid": 1, "keys": [{"data": "d", "foo": 1}]}]', '[{"name": "n", "uid": 1, "keys": [5]}]', '[{"name": "n", "uid": 1, "keys": null}]',
    '[{"name": "n", "uid": 1, "keys": []}]', '[{"name": {"a": [1, "b"]}, "uid": true}]',
]
COMBINATIONS = [
    {**BASE},
    {}, {"name": '"n"'}, {"text": '"t"'}, {"a": '"x"', "b": '"y"', "name": '"n"'}, {**BASE, "a": "null", "b": "null"}, {**BASE, "c": '"x"', "d": "1", "e": "true", "f": '"f"'},
    {**BASE, "a": "1", "b": "1", "c": "1", "d": "1"}, {**BASE, "e": "true"}, {**BASE, "f": '"x"'}, {**BASE, "e": "true", "f": '"x"'}, {**BASE, "e": '"x"', "f": "null"},
    {**BASE, "level": '"high"'}, {**BASE, "level": '"high"', "count": "1"}, {**BASE, "level": '"high"', "count": "null"}, {**BASE, "number": "99"}, {**BASE, "number": '"99"'},
    {**BASE, "number": "99.0", "c": '"x"'}, {**BASE, "number": "99", "f": '"x"'}, {**BASE, "flag": "true"}, {**BASE, "flag": '"yes"', "count": "1"}, {**BASE, "flag": "1", "count": "1", "mapping": "{}"},
    {**BASE, "switch": '"on"'}, {**BASE, "d": "1"}, {**BASE, "d": "1", "count": "2"}, {**BASE, "ratio": "0.5", "names": "null"}, {**BASE, "ratio": "null"}, {**BASE, "names": "null"},
    {"title": '"x"', "text": '"t"'}, {"title": '"x"', "label": '"y"', "text": '"t"'}, {**BASE, "title": '"x"'}, {**BASE, "title": '"x"', "label": '"y"', "flag": "0", "switch": "false"},
    {**BASE, "label": "null"}, {**BASE, "label": "[1]"}, {**BASE, "foo": "1"}, {**BASE, "foo": "1", "Bar": "null", "\\u00e9": '"x"'}, {"foo": "1"}, {**BASE, "foo": "1", "number": '"x"'},
    {**BASE, "Text": '"x"', "switch": "true"}, {**BASE, "_ansible_ignore_unknown_opts": "true", "foo": '{"a": 1}'}, {**BASE, "_ansible_ignore_unknown_opts": "true", "server": '{"host": "h", "foo": 1}'},
    {**BASE, "_ansible_check_mode": "true"}, {**BASE, "_ansible_diff": "true"}, {**BASE, "_ansible_check_mode": '"yes"', "_ansible_diff": '"yes"', "_ansible_verbosity": "4"},
    {**BASE, "_ansible_diff": '"x"'}, {**BASE, "_ansible_no_log": "true"}, {**BASE, "_ansible_module_name": '"ns.col.artificial"', "foo": "1"}, {**BASE, "_ansible_verbosity": "2"},
    {**BASE, "defaulted": "null"}, {**BASE, "defaulted": "{}"}, {**BASE, "defaulted": '{"two": 5}'}, {**BASE, "defaulted": '{"one": "x"}'}, {**BASE, "defaulted": '"one=3"'}, {**BASE, "defaulted": '{"three": 3}'},
    {**BASE, "plain": "null"}, {**BASE, "plain": "{}"}, {**BASE, "plain": '{"two": "1,2"}'}, {**BASE, "plain": '{"two": ["1", null]}'}, {**BASE, "plain": '"two"'}, {**BASE, "plain": '{"one": null}'},
    {**BASE, "plain": "5"}, {**BASE, "plain": '"one=1 two=2"'}, {**BASE, "plain": '"[1]"'},
    {**BASE, "number": '"x"', "count": '"y"', "numbers": '["z"]'}, {**BASE, "numbers": '["z"]', "count": '"y"'}, {**BASE, "server": '{"host": "h", "port": "x"}', "users": '[{"uid": "x"}]', "count": '"y"'},
    {**BASE, "server": '{"port": "x"}', "users": '[{"uid": "x"}]'}, {**BASE, "users": '[{"uid": "x"}]', "foo": "1"}, {**BASE, "server": '{"host": "h"}', "users": '[{"name": "n", "uid": 1}]', "defaulted": '{"two": "x"}'},
]
SECRETS = [
    {**BASE, "secret": '"s3cret"', "text": '"a s3cret"', "names": '["s3cret", "s3cret s3cret"]', "mapping": '{"s3cret": "s3cret"}'}, {**BASE, "secrets": '["s3cret", "t0p"]', "text": '"t0p s3cret"'},
    {**BASE, "secrets": '"s3cret,t0p"', "text": '"t0p s3cret s3cret,t0p"'}, {**BASE, "secrets": "[1, 2]", "number": "12", "count": "3"}, {**BASE, "vault": '{"a": ["s3cret", {"b": "t0p"}]}', "text": '"t0p s3cret a"'},
    {**BASE, "vault": '"a=s3cret"', "text": '"s3cret"'}, {**BASE, "pin": "1234", "text": '"x1234"', "number": "51234"}, {**BASE, "pin": '"1234"', "count": "1234"}, {**BASE, "pin": '"s3cret"'},
    {**BASE, "secret": '"n"'}, {**BASE, "secret": '"artificial"', "foo": "1"}, {**BASE, "secret": '["s3cret", 5]', "text": '"s3cret"'}, {**BASE, "secret": '"s3cret"', "count": '"s3cret"'},
    {**BASE, "server": '{"host": "h", "user": "u", "password": "s3cret"}', "text": '"s3cret"'}, {**BASE, "server": '{"host": "h", "token": 5}', "count": "15"},
    {**BASE, "users": '[{"name": "n", "uid": 1, "keys": [{"data": "s3cret"}]}]', "text": '"a s3cret"'}, {**BASE, "secret": '""', "text": '""'}, {**BASE, "secret": "true", "text": '"True"'},
    {**BASE, "server": '{"host": "h", "tls": "key=s3cret"}', "text": '"s3cret"'}, {**BASE, "server": '"{\\"host\\": \\"h\\", \\"token\\": \\"s3cret\\"}"', "text": '"s3cret"'},
]
# Texts that are not Unicode, as Ansible hands them over; numbers that JSON has not.
ODD = [
    {**BASE, "input": '"caf\\udce9\\n\\u00e9"', "_ansible_no_log": "true"},
    {**BASE, "input": '"caf\\udce9\\n\\u00e9"'}, {**BASE, "input": '["\\udce9"]'}, {**BASE, "input": '"\\ud83d\\ude00"'}, {**BASE, "text": '"caf\\udce9"'}, {**BASE, "folder": '"~/caf\\udce9"'},
    {**BASE, "mapping": '{"k": ["\\udce9"]}'}, {**BASE, "mapping": '{"\\udce9": 1}'}, {**BASE, "secret": '"\\udce9"'}, {**BASE, "server": '{"host": "\\udce9"}'}, {**BASE, "level": '"\\udce9"'},
    {**BASE, "ratio": "1e999"}, {**BASE, "ratio": '"inf"'}, {**BASE, "ratio": '"NaN"'}, {**BASE, "ratio": '"-Infinity"'}, {**BASE, "ratio": '"1e999"'}, {**BASE, "count": "1e999"},
    {**BASE, "ratio": "1" + "0" * 400}, {**BASE, "count": '"Infinity"'}, {**BASE, "flag": "1e999"}, {**BASE, "text": "1e999"},
    {**BASE, "srv": '{"host": "h"}'}, {**BASE, "srv": '"host=h"'}, {**BASE, "srv": '{"host": "h"}', "server": '{"host": "i"}'}, {**BASE, "srv": '{"host": "h", "foo": 1}'}, {**BASE, "srv": "null"},
]
INVOCATIONS = [
    {**BASE},
    {**BASE, "secret": '"s3cret"', "secrets": '["x y"]', "greeting": '"s3cret x y"'},
    {**BASE, "text": '"http://user:pass@host/ \\u00e9"', "count": '"1445"'},
    {**BASE, "_ansible_target_log_info": '"for bob"'},
    {**BASE, "_ansible_target_log_info": '"for s3cret"', "secret": '"s3cret"'},
    {**BASE, "_ansible_ignore_unknown_opts": "true", "my_password": '"a"', "PASS-word": '"b"', "passive": '"c"', "pass": "1",
     "compass": '"d"', "db passphrase": '"e"', "old_passwd_2": '"f"', "foo": '{"a": ["b", null]}', "bar": "null"},
    {**BASE, "title": '"x\\ny"', "server": '{"host": "s3cret", "token": "s3cret"}'},
]
REMOVALS = [
    ([], "abc"),
    (["abc"], "abc"),
    (["abc"], "xabcx"),
    (["abc", "abcd"], "abcd abc"),
    (["abc", "abcd"], ["abc", "abcd", "zabcdz"]),
    (["a"], {"a": "a", "b": ["a", {"c": "ba"}]}),
    (["1"], [1, 10, 0, 1.5, True, False, None, "1", "11"]),
    (["1.5"], [1.5, 11.55, 1]),
    (["true"], [True, "true"]),
    (["None", "True"], [None, True, "None"]),
    (["*"], ["*", "**", "a*b"]),
    (["*", "ab"], "ab"),
    (["*", "ab"], "abc"),
    (["é", "日本"], ["é", "日本語", "café"]),
    (["ü", "zz"], ["zzü", "züz"]),
    (["line\nbreak"], "a line\nbreak b"),
    ([" "], ["a b", " "]),
    (["VALUE"], ["VALUE", "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"]),
    (["ab", "bc"], ["ab", "bc"]),
    (["aa"], ["aaa", "aaaa"]),
    (["x"], {}),
    (["x"], []),
    (["1e+16"], [1e16]),
    (["-1"], [-1, -10, 1]),
]

ADDRESSES = [
    "",
    "plain",
    "user@host",
    "user:pass@host",
    "user:pass@host/path",
    "http://user:pass@host/",
    "http://user@host/",
    "http://host:80/",
    "http://host:80/a@b",
    "a http://u:p@h b https://v:q@i c",
    "u:p@h v:q@i",
    "u:p@h http://v:q@i",
    "http://v:q@i u:p@h",
    ":@",
    "a:@b",
    "ab:@b",
    "abc:@b",
    "abcd:e@f",
    "://:@",
    "://a:b@c",
    "x://a@b:c@d",
    "ssh://a b:c @ d",
    "é:é@é",
    "éééé:é@é",
    "日本語日本:p@h",
    "a@b@c",
    "user:a@b@host",
    "http://a http://b:c@d",
    "http://a:b http://c@d",
    "\\\\server\\share user@domain:port",
    "/c echo user:password@server & echo http://x:y@z",
    "@@@@",
    ":::@",
    "abc:::@:::@",
]

WORDING = [
    "up to 2.18: argument 'x' is of type <class 'str'>; since 2.19: argument 'x' is of type str",
    "up to 2.18: is not a valid boolean.  Valid booleans; since 2.19 with one space",
    "up to 2.17: <class 'str'> cannot be converted to an int; since 2.18: \"'x'\" cannot be converted to an int",
]


def argument_sets() -> list[str]:
    sets = [{**BASE, option: value} for option in KINDS for value in VALUES]
    sets += [{**BASE, option: value} for option in LISTS for value in ELEMENTS]
    for option, values in [("folder", PATHS), ("level", LEVELS), ("reply", REPLIES), ("server", SERVERS), ("users", USER_LISTS)]:
        sets += [{**BASE, option: value} for value in values]
    sets += COMBINATIONS + SECRETS + ODD
    return list(dict.fromkeys(json_object(options) for options in sets))


def perform(module) -> dict:
    return {"msg": "", "check_mode": module.check_mode, "diff_mode": module._diff, "verbosity": module._verbosity}


def answer_to(text: str) -> dict:
    return run_module(text, "artificial", perform, argument_spec=SPECIFICATION, supports_check_mode=True, **RULES)


def answer_everything() -> dict:
    """What the ansible-core of this Python answers; all but validation is asked of the newest alone."""
    from ansible.module_utils.basic import heuristic_log_sanitize
    from ansible.module_utils.common.parameters import remove_values
    from ansible.release import __version__

    answers = {"release": __version__, "arguments": [(text, answer_to(text)) for text in argument_sets()]}
    if __version__.startswith(NEWEST + "."):
        answers["removals"] = [
            {"secrets": secrets, "value": value, "expected": remove_values(value, set(secrets))}
            for secrets, value in REMOVALS
        ]
        answers["addresses"] = [{"text": text, "hidden": heuristic_log_sanitize(text)} for text in ADDRESSES]
        answers["invocations"] = [logged_invocation(options) for options in INVOCATIONS]
    return answers


def logged_invocation(options: dict) -> dict:
    text = json_object(options)
    return {"arguments": text, "message": answer_to(text)["log"][0]}


def case_of(text: str, run: dict, defaults: dict) -> dict:
    """The answer, with only those options that differ from what the smallest valid task has."""
    if "crashed" in run:
        return {"arguments": text, "crashed": run["crashed"]}
    answer = readable(run["answer"])
    if answer is None:
        return {"arguments": text, "crashed": "the answer is not JSON"}
    given = answer.pop("invocation")["module_args"]
    case = {"arguments": text, "exit_code": run["exit_code"], "answer": answer}
    if set(defaults) <= set(given):
        kept = {name: value for name, value in given.items() if name not in defaults or repr(value) != repr(defaults[name])}
        return {**case, "module_args": kept}
    # What Ansible itself hands over is broken, and AnsibleModule gets nowhere.
    return case


def readable(answer: dict) -> dict | None:
    """The answer with U+E0xx for the lone surrogate U+DCxx, which few parsers of JSON read; none if a number is infinite."""
    try:
        text = json.dumps(answer, allow_nan=False, ensure_ascii=False)
    except ValueError:
        return None
    return json.loads(text.translate({0xDC00 + byte: 0xE000 + byte for byte in range(0x80, 0x100)}))


def in_new_words(case: dict) -> dict:
    case = {key: value for key, value in case.items() if key != "arguments"}
    message = case.get("answer", {}).get("msg", "")
    message = re.sub("is of type <class '(\\w+)'>", "is of type \\1", message)
    message = message.replace("valid boolean.  Valid", "valid boolean. Valid")
    message = re.sub("convert to int: .*", "convert to int", message)
    return {**case, "answer": {**case["answer"], "msg": message}} if message else case


def version_differences(answers: dict, defaults: dict):
    """Cases that an older version answers otherwise than the newest, in other than the usual words."""
    by_version = {version: dict(answers[version]["arguments"]) for version in VERSIONS}
    for text in by_version[NEWEST]:
        cases = {version: in_new_words(case_of(text, by_version[version][text], defaults)) for version in VERSIONS}
        groups: dict[str, list[str]] = {}
        for version, case in cases.items():
            groups.setdefault(json.dumps(case), []).append(version)
        if len(groups) > 1:
            yield {"arguments": text, "answers": [{"versions": group, **json.loads(case)} for case, group in groups.items()]}


def main() -> None:
    libraries = pathlib.Path(sys.argv[1]).resolve()
    answers = answers_of_all_versions(__file__, libraries, [])
    newest = answers[NEWEST]
    release = newest["release"]
    least = dict(newest["arguments"])[json_object(BASE)]["answer"]["invocation"]["module_args"]
    defaults = {name: value for name, value in least.items() if name not in BASE}
    write(HERE / "arguments.json", {
        "ansible_core": release,
        "defaults": defaults,
        "cases": [case_of(text, run, defaults) for text, run in newest["arguments"]],
    })
    write(HERE / "removals.json", {"ansible_core": release, "cases": newest["removals"]})
    write(HERE / "syslog.json", {
        "ansible_core": release,
        "invocations": newest["invocations"],
        "addresses": newest["addresses"],
    })
    write(HERE / "versions.json", {
        "ansible_core": {version: answers[version]["release"] for version in VERSIONS},
        "wording": WORDING,
        "cases": list(version_differences(answers, defaults)),
    })


if __name__ == "__main__":
    if sys.argv[1] == "--answer":
        print(json.dumps(answer_everything()))
    else:
        main()
