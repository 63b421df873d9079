/** English words that say nothing about what a ticket is about. Stems of them are among them. */
const STOP_WORDS = new Set(
  (
    'a about after again all also am an and any anyone are as at be because been before being but by can could did do ' +
    'does doing dont down each either else every few for from further get got had has have having he her here hers him ' +
    'his how i if im in into is it its ive just let like made make many may me might mine more most much must my need no ' +
    'nor not now of off on once one only or other our ours out over own please said same see seem she should since so ' +
    'some such than thank thanks that the their theirs them then there these they thing this those through to too try ' +
    'tri under until up us use using very want was way we were what when where which while who whom why will with would ' +
    'yes yet you your yours hi hello hey dear regard regards team support help ticket'
  ).split(' '),
)

export const isStopWord = (word: string): boolean => STOP_WORDS.has(word) || STOP_WORDS.has(stem(word))

const ENDINGS: readonly [ending: string, instead: string][] = [
  ['izations', 'ize'],
  ['ization', 'ize'],
  ['ations', 'ate'],
  ['ation', 'ate'],
  ['ements', 'e'],
  ['ement', 'e'],
  ['ments', ''],
  ['ment', ''],
  ['ities', 'ity'],
  ['fully', 'ful'],
  ['ness', ''],
  ['ies', 'y'],
  ['ied', 'y'],
  ['ions', ''],
  ['ion', ''],
  ['ings', ''],
  ['ing', ''],
  ['edly', ''],
  ['ers', ''],
  ['er', ''],
  ['ed', ''],
  ['es', ''],
  ['ly', ''],
  ['s', ''],
]

/** The stem of an English word, roughly: "charged", "charges" and "charging" are one. Other words mostly stay. */
export function stem(word: string): string {
  if (word.length < 4 || word.endsWith('ss') || word.endsWith('us')) return word
  for (const [ending, instead] of ENDINGS) {
    if (!word.endsWith(ending) || word.length - ending.length < 3) continue
    return undoubled(word.slice(0, -ending.length) + instead)
  }
  return undoubled(word)
}

/** "log" of "logged", "charg" of "charge". */
function undoubled(word: string): string {
  if (word.length > 3 && word.endsWith('e')) return word.slice(0, -1)
  return word.length > 3 && word.at(-1) === word.at(-2) && !/[lsz]$/.test(word) ? word.slice(0, -1) : word
}
