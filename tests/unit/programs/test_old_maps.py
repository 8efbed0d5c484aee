"""Maps of old sources are declared in the new way, line by line."""

import pytest

from netlab.programs import old_maps

OLD = """\
struct bpf_map_def SEC("maps") hits = {
	.type        = BPF_MAP_TYPE_HASH, /* by address */
	.key_size    = sizeof(struct key),
	.value_size  = sizeof(__u64) * 2,
	.max_entries = max(1, 2),
};
int after;
"""
NEW = """\
struct {
	int (*type)[BPF_MAP_TYPE_HASH]; /* by address */
	typeof(struct key) *key;
	int (*value_size)[sizeof(__u64) * 2];
	int (*max_entries)[max(1, 2)];
} hits __attribute__((section(".maps"), used));
int after;
"""


def test_each_field_stays_on_its_line() -> None:
    """A type is kept as a type where there is one, so that values are shown with their fields."""
    assert old_maps.may_be_in(OLD)
    assert old_maps.translated(OLD) == NEW


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ('struct bpf_map_def SEC("maps/x") x = { .type = 1 };', "int (*type)[1];"),
        ('static struct bpf_map_def x SEC("maps") = { type: 1, };', "int (*type)[1];"),
        ('struct bpf_map_def __attribute__((section("maps"), used)) x = {.key_size = 4};', "int (*key_size)[4];"),
        ('struct bpf_elf_map SEC("maps") x = {.size_value = 8, .max_elem = 2};', "int (*max_entries)[2];"),
        ("struct bpf_elf_map __section_maps x = {.pinning = PIN_GLOBAL_NS};", "int (*pinning)[1];"),
        ("struct bpf_elf_map __section_maps x = {.pinning = HOW};", "int (*pinning)[!!(HOW)];"),
        ('__attribute__((section("maps"), used)) struct own_map_def x = {.map_type = 1};', "int (*type)[1];"),
        ('struct bpf_map_def SEC("maps") x = {\n.map_flags\n= 1,\n.namespace = "y"\n};', "int (*map_flags)[1];"),
    ],
)
def test_other_spellings(old: str, words: str) -> None:
    """iproute2's form, the section before and behind the name, fields of before C99, fields that nobody reads."""
    new = old_maps.translated(old)

    assert new
    assert words in new
    assert new.count("\n") == old.count("\n")
    assert new.endswith('} x __attribute__((section(".maps"), used));')


def test_what_the_preprocessor_has_made_is_joined() -> None:
    """The pragmas of a section's macro are in the middle of a line; behind a line of the preprocessor's own is none."""
    pragmas = '# 7 "/x.h"\n#pragma GCC diagnostic push\n# 7 "/x.h"\n'
    text = (
        f'# 1 "/x.h"\n{pragmas}__attribute__((section("xdp"), used))\n{pragmas} int f(void);\n'
        f'struct bpf_map_def\n{pragmas} __attribute__((section("maps"), used))\n{pragmas} x = {{ .type = 1 }};\n'
    )

    assert old_maps.translated(text) == (
        '# 1 "/x.h"\n# 7 "/x.h"\n__attribute__((section("xdp"), used))  int f(void);\n'
        'struct { int (*type)[1]; } x __attribute__((section(".maps"), used));\n'
    )


def test_other_declarations_stay() -> None:
    """What is no map of the old kind is not touched."""
    text = 'struct { __uint(type, 1); } x SEC(".maps");\nstruct bpf_map_def { int type; };\n'

    assert old_maps.translated(text) is None
    assert not old_maps.may_be_in("int maps;")
