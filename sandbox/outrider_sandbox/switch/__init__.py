"""The card switch: ISO 8583 (`rooms`), and the book of what it authorized."""
