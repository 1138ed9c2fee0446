/** Recent remembers the last keys that it was given: for telling what came twice. */
export class Recent {
  readonly #max: number
  #keys = new Set<string>()

  constructor(max: number) {
    this.#max = max
  }

  /** add is false for a key that is known. */
  add(key: string): boolean {
    if (this.#keys.has(key)) return false
    this.#keys.add(key)
    if (this.#keys.size > this.#max) this.#keys.delete(this.#keys.values().next().value!)
    return true
  }
}
