// Where the rows of a long list stand, of which only those that are seen exist. Heights are guessed until a row was seen.
export class Rows<T extends object> {
  #heights = new WeakMap<T, number>()
  #items: readonly T[] = []
  #tops = new Float64Array(1)
  readonly #guess: number

  constructor(guess: number) {
    this.#guess = guess
  }

  get total(): number {
    return this.#tops[this.#items.length]!
  }

  set(items: readonly T[]): void {
    this.#items = items
    if (this.#tops.length < items.length + 1) this.#tops = new Float64Array(Math.ceil(items.length * 1.5) + 1)
    this.#add(0)
  }

  top(i: number): number {
    return this.#tops[i]!
  }

  /** measured takes a row's height, and answers by how much it grew. */
  measured(i: number, height: number): number {
    const item = this.#items[i]
    if (!item) return 0
    const grown = height - (this.#heights.get(item) ?? this.#guess)
    if (Math.abs(grown) < 0.5) return 0
    this.#heights.set(item, height)
    this.#add(i)
    return grown
  }

  /** at is the row at a height. */
  at(y: number): number {
    let low = 0
    let high = this.#items.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#tops[middle]! <= y) low = middle
      else high = middle - 1
    }
    return Math.max(0, low)
  }

  #add(from: number): void {
    let y = from === 0 ? 0 : this.#tops[from]!
    this.#tops[0] = 0
    for (let i = from; i < this.#items.length; i++) {
      y += this.#heights.get(this.#items[i]!) ?? this.#guess
      this.#tops[i + 1] = y
    }
  }
}
