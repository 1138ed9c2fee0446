// The state of tlim, which the page asks for as long as it is open. It is also how the page notices that tlim is away, and back.
import { shallowRef } from 'vue'
import { ask, isAway, session } from './api.ts'
import { language } from './i18n.ts'
import type { State } from './types.ts'

const every = 5_000
const everyAway = 2_000

export const state = shallowRef<State | null>(null)
/** Why there is no state, or only an old one. */
export const stateError = shallowRef<unknown>(null)

let timer = 0
let running = 0

export function follow(): void {
  const run = ++running
  async function look() {
    clearTimeout(timer)
    if (run !== running) return
    if (!document.hidden) {
      try {
        const answer = await ask<State>('admin/state', { language: language.value })
        if (run !== running) return
        state.value = answer
        stateError.value = null
      } catch (e) {
        if (run !== running) return
        stateError.value = isAway(e) ? null : e
      }
    }
    timer = window.setTimeout(look, session.away ? everyAway : every)
  }
  lookNow = () => void look()
  void look()
}

let lookNow = () => {}

/** again asks at once. */
export const again = (): void => lookNow()

export function unfollow(): void {
  running++
  clearTimeout(timer)
  state.value = null
  stateError.value = null
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) lookNow()
})
window.addEventListener('online', () => lookNow())
