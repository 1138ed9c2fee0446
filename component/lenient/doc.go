// Package lenient reads the JSON that shipped clients and integrators really send, and answers strict JSON text, so that
// everything behind it, other programs included, reads one and the same thing.
//
// What it takes beyond JSON is what the parser of the old server took (fastjson 1.2.47), whose callers are served on:
//
//   - a byte order mark in front;
//   - strings in single quotes;
//   - line ends, tabs and other control characters in strings, as they stand;
//   - the escapes \xHH, \v, \F, \', and \0 to \7 of one digit;
//   - undefined, NULL, Null and NaN, which are null;
//   - several commas for one, commas before the first element and behind the last, none between two elements of an array;
//   - keys without quotes: ASCII letters, digits, _ and $, letters and digits of U+0100 and above, not beginning with an ASCII
//     digit; or a whole number;
//   - numbers with leading zeros, with a plus sign, or with nothing behind the point; new Date(milliseconds);
//   - comments of both kinds; control characters between tokens.
//
// All else is an error, as it was there.
package lenient
