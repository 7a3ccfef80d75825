"""Phone numbers, for the channels that ring or write to them."""

import phonenumbers


def check_phone_number(number: str) -> str:
    """Judge a number in international form and normalise it to E.164.

    A number need not be assigned to be taken, only possible: numbering plans change faster than any library.

    Raises:
        ValueError: With what is wrong as a sentence, without the number.
    """
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException as error:
        raise ValueError("is not a phone number in international form, such as +49 30 901820") from error
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("is not a possible phone number: it has too few or too many digits for its country")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
