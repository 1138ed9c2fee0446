// Package bilingual finds the Chinese of English sentences that are made by formats, as those of what administrators are warned of. Whoever makes a
// sentence knows no language but that of the log; whoever shows it has a [Table] of the formats. It promises this.
//
//   - A sentence that no format of the table can have made stays as it is: nothing is lost.
//   - What a verb stood for is in the Chinese as it was in the English, unless it is a sentence of the table itself.
//   - A Table is not changed by its use, and may be used by many at once.
//
// It knows nobody.
package bilingual
