"""The meaning of an unquoted value.

The types are those of YAML 1.2, and fewer: `yes`, `no` and `on` are text, and so are `0755` and `1:30`.
"""

LONGEST_NUMBER = 40  # characters: int() of a megabyte of digits takes long

# Control characters except tab and newline, and surrogates, which have no UTF-8.
UNWANTED = (("\0", "\x08"), ("\x0b", "\x1f"), ("\x7f", "\x9f"), ("\ud800", "\udfff"))

CONSTANTS: dict[str, float | bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def resolve(text: str) -> str | int | float | bool | None:
    """Return the meaning of the unquoted `text`: null, true or false, a number, or the text itself."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if text[0] not in "+-.0123456789" or len(text) > LONGEST_NUMBER:
        return text
    digits = text[1:] if text[0] in "+-" else text
    if digits.isascii() and digits.isdigit():
        return int(text) if digits == "0" or digits[0] != "0" else text
    try:
        if digits[:2] == "0x" and digits.isascii() and digits.isalnum():
            return int(text, 16)
        if digits and not digits.strip("0123456789.eE+-"):
            return float(text)
    except ValueError:
        pass
    return text


def control_character(text: str) -> str:
    """Return the first character of `text` that no terminal or command should get, or ""; tab and newline may be."""
    if text.isprintable():
        return ""
    return next((character for character in text if any(low <= character <= high for low, high in UNWANTED)), "")
