// A long list whose rows all have one height: only those that are seen exist.
import { computed, onBeforeUnmount, onMounted, ref, type Ref, type ShallowRef } from 'vue'

/** Rows above and below what is seen, so that a scroll finds some. */
const margin = 4

export function useWindow<T>(box: Readonly<ShallowRef<HTMLElement | null>>, rows: Readonly<Ref<readonly T[]>>, rowHeight: number) {
  const top = ref(0)
  const height = ref(800)
  const first = computed(() => Math.max(0, Math.floor(top.value / rowHeight) - margin))
  const visible = computed(() => rows.value.slice(first.value, Math.ceil((top.value + height.value) / rowHeight) + margin))
  let observer: ResizeObserver | null = null
  onMounted(() => {
    observer = new ResizeObserver(() => (height.value = box.value?.clientHeight || 800))
    if (box.value) observer.observe(box.value)
  })
  onBeforeUnmount(() => observer?.disconnect())

  /** scrolled takes where the box stands; it belongs on its scroll event. */
  function scrolled(): void {
    top.value = box.value?.scrollTop ?? 0
  }

  /** show scrolls so that row i is seen whole. */
  function show(i: number): void {
    const b = box.value
    if (!b) return
    if (i * rowHeight < b.scrollTop) b.scrollTop = i * rowHeight
    else if ((i + 1) * rowHeight > b.scrollTop + b.clientHeight) b.scrollTop = (i + 1) * rowHeight - b.clientHeight
    scrolled()
  }

  return { first, visible, total: computed(() => rows.value.length * rowHeight), scrolled, show }
}
