import { describe, expect, test } from 'vitest'

import { calibrate, confidenceOf, type Trial } from '../../src/triage/calibration.ts'
import { CATEGORIES } from '../../src/triage/categories.ts'
import { chunksOf } from '../../src/triage/chunks.ts'
import { classify, type Example, learn, unlearned } from '../../src/triage/classifier.ts'
import { parseCsv } from '../../src/triage/csv.ts'
import { describe as describeCategories } from '../../src/triage/descriptions.ts'
import { draftFrom } from '../../src/triage/draft.ts'
import { labelledFrom, reportOf, sampleOf } from '../../src/triage/evaluation.ts'
import { gramsOf, wordsOf } from '../../src/triage/features.ts'
import { languageOf } from '../../src/triage/language.ts'
import { priorityByRules } from '../../src/triage/priority-rules.ts'
import { random } from '../../src/triage/random.ts'

const pause = () => undefined
const NOTHING = describeCategories([], null)
const WORDS = describeCategories(CATEGORIES, null)

const KINDS: Record<string, string[]> = {
  printer: ['paper is stuck', 'toner is empty', 'prints blank pages', 'the printer is jammed', 'ink smears on paper'],
  network: ['wifi is gone', 'no network in room 4', 'vpn drops all the time', 'cable has no link', 'wifi is slow'],
  payroll: ['salary is missing', 'wrong tax on my payslip', 'payslip not sent', 'bonus is not paid', 'salary too low'],
}
const PLACES = ['on floor one', 'in the office', 'since monday', 'again', 'for my team', 'at home', 'please look']

function tickets(count: number, seed: number): Example[] {
  const next = random(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T
  return Array.from({ length: count }, () => {
    const label = pick(Object.keys(KINDS))
    return { text: `${pick(KINDS[label] as string[])} ${pick(PLACES)}`, label, vector: null }
  })
}

describe('the classifier', () => {
  test('learns a small case the same way each time', async () => {
    const lesson = { examples: tickets(60, 1), descriptions: NOTHING, precision: 0.95, pause }
    const [model, again] = [await learn(lesson), await learn(lesson)]
    expect(model).toEqual(again)
    const verdict = classify(model, NOTHING, 'the toner of our printer is empty', null)
    expect(verdict).toMatchObject({ value: 'printer', source: 'model', isSure: false })
    expect(verdict?.confidence).toBeCloseTo(0.976, 1)
    expect(verdict?.others.map(({ value }) => value).toSorted()).toEqual(['network', 'payroll'])
  })

  test('is sure only when many were held out, and then of what it learned', async () => {
    const model = await learn({ examples: tickets(300, 2), descriptions: NOTHING, precision: 0.95, pause })
    expect(model.calibration.trials).toBe(300)
    expect(classify(model, NOTHING, 'wifi is slow again', null)).toMatchObject({ value: 'network', isSure: true })
    expect(classify(model, NOTHING, 'zxcvb qwert', null)?.isSure).toBe(false)
  })

  test('learns from vectors beside words, and does without them', async () => {
    const vectorOf = (label: string) => Float32Array.from(Object.keys(KINDS), (kind) => (kind === label ? 1 : 0))
    const examples = tickets(90, 3).map(({ text, label }) => ({ text, label, vector: vectorOf(label) }))
    const model = await learn({ examples, descriptions: NOTHING, precision: 0.95, pause })
    expect(classify(model, NOTHING, 'entirely other words', vectorOf('payroll'))?.value).toBe('payroll')
    expect(classify(model, NOTHING, 'vpn drops', null)?.value).toBe('network')
  })

  test('descriptions speak first, and what people set speaks louder once there is enough of it', async () => {
    const text = 'My invoice is wrong'
    expect(classify(unlearned(WORDS), WORDS, text, null)).toMatchObject({ value: 'billing', source: 'description' })
    const examples = Array.from({ length: 40 }, (_, at) => [
      { text: `invoice ${at} is wrong`, label: 'bookkeeping', vector: null },
      { text: `server ${at} is down`, label: 'technical', vector: null },
    ]).flat()
    const model = await learn({ examples, descriptions: WORDS, precision: 0.95, pause })
    expect(classify(model, WORDS, text, null)).toMatchObject({ value: 'bookkeeping', source: 'model' })
  })

  test('says nothing where nothing speaks', () => {
    expect(classify(unlearned(WORDS), WORDS, '無關', null)).toBeNull()
    expect(classify(unlearned(NOTHING), NOTHING, 'My invoice is wrong', null)).toBeNull()
  })

  test('a category that was described later changes no place of those that were learned', async () => {
    const model = await learn({ examples: tickets(60, 4), descriptions: NOTHING, precision: 0.95, pause })
    expect(classify(model, WORDS, 'paper is stuck', null)?.value).toBe('printer')
  })

  test('what is beyond its bounds is left out, not refused', async () => {
    const examples = Array.from({ length: 310 }, (_, at) => ({ text: `word${at}`, label: `label ${at}`, vector: null }))
    const model = await learn({
      examples: [...examples, ...tickets(9, 5)],
      descriptions: NOTHING,
      precision: 0.95,
      pause,
    })
    expect(model.classes).toHaveLength(300)
  })
})

describe('the promise', () => {
  /** Tickets that are right as often as their probability says, or less often. */
  const trials = (count: number, seed: number, honesty = 1): Trial[] => {
    const next = random(seed)
    return Array.from({ length: count }, () => {
      const probability = 0.3 + 0.7 * next()
      return { probability, isRight: next() < probability * honesty }
    })
  }

  test.each([200, 1000, 5000])('the precision promised on %i tickets is kept on others', (count) => {
    let [sure, right] = [0, 0]
    for (let seed = 1; seed <= 40; seed += 1) {
      const calibration = calibrate(trials(count, seed), 0.95)
      for (const { probability, isRight } of trials(2000, seed + 1000)) {
        if (calibration.threshold === null || confidenceOf(probability, calibration) < calibration.threshold) continue
        sure += 1
        if (isRight) right += 1
      }
    }
    expect(sure).toBeGreaterThan(0)
    expect(right / sure).toBeGreaterThan(0.94)
  })

  test('nothing is promised on few, nor by a classifier that is never right enough', () => {
    expect(calibrate(trials(149, 1), 0.95).threshold).toBeNull()
    expect(calibrate(trials(3000, 1, 0.8), 0.95).threshold).toBeNull()
  })

  test('confidence is what comes true, also where the regression believes too much', () => {
    const believed = trials(4000, 7).map(({ probability, isRight }) => ({ probability: probability ** 0.25, isRight }))
    const calibration = calibrate(believed, 0.95)
    const confidence = believed.map(({ probability }) => confidenceOf(probability, calibration))
    const mean = confidence.reduce((sum, one) => sum + one, 0) / confidence.length
    const share = believed.filter(({ isRight }) => isRight).length / believed.length
    expect(Math.abs(mean - share)).toBeLessThan(0.01)
  })

  test('more probable is never less sure', () => {
    const upsideDown = trials(500, 3).map(({ probability }) => ({ probability, isRight: probability < 0.6 }))
    expect(calibrate(upsideDown, 0.95).slope).toBeGreaterThan(0)
  })
})

describe('words', () => {
  test('are cut alike however they are written', () => {
    expect(wordsOf("Don't RE-SEND “café” 12,5")).toEqual(['dont', 're', 'send', 'café', '12', '5'])
    expect(wordsOf('无法登录')).toEqual(['无', '法', '登', '录'])
    expect(gramsOf('Ｆｕｌｌ').ids).toEqual(gramsOf('full').ids)
    expect(gramsOf('').ids).toHaveLength(0)
  })
})

const LANGUAGES = [
  ['en', "I can't log in to my account, please help"],
  ['de', 'Ich kann mich nicht anmelden, mein Passwort ist falsch'],
  ['fr', 'Impossible de me connecter à mon compte depuis hier'],
  ['es', 'No puedo entrar en mi cuenta desde ayer, gracias'],
  ['pt', 'Não consigo acessar minha conta desde ontem, obrigado'],
  ['it', 'Non riesco ad accedere al mio account, grazie'],
  ['nl', 'Ik kan niet inloggen met mijn wachtwoord'],
  ['pl', 'Nie mogę się zalogować na moje konto'],
  ['sv', 'Jag kan inte logga in på mitt konto'],
  ['tr', 'Hesabıma giriş yapamıyorum, şifre çalışmıyor'],
  ['ja', 'パスワードを忘れました'],
  ['zh', '无法登录我的账户'],
  ['ko', '로그인이 안 됩니다'],
  ['ru', 'Не могу войти в учётную запись'],
  ['uk', 'Не можу увійти в обліковий запис'],
  ['ar', 'لا أستطيع تسجيل الدخول'],
  [null, '12345 !?'],
  [null, 'XK-400'],
] as const

test.each(LANGUAGES)('language %s: %s', (language, text) => {
  expect(languageOf(text)).toBe(language)
})

const PRIORITIES = [
  ['urgent', 'The whole site is down. Nobody can check out, we are losing money'],
  ['urgent', 'URGENT: production is down'],
  ['urgent', 'API integration failing\nOur API calls are returning 500 errors since this morning.'],
  ['high', 'Password reset not working\nI have tried multiple times but never receive the email.'],
  ['high', 'You charged my card twice'],
  ['medium', 'It is not down any more'],
  ['medium', 'The invoice shows the old address'],
  ['low', 'Feature request: Dark mode'],
  ['low', 'Billing inquiry\nQuestion about monthly subscription charges'],
  ['low', 'A typo on the start page, not urgent'],
] as const

test.each(PRIORITIES)('rules find priority %s: %s', (priority, text) => {
  expect(priorityByRules(text, 'en')).toMatchObject({ value: priority, isSure: false, source: 'rules' })
})

test('rules for English say nothing about another language', () => {
  expect(priorityByRules('Der Server ist down, urgent', 'de')).toBeNull()
})

describe('a draft', () => {
  const answer = {
    kind: 'ticket' as const,
    id: 7,
    title: 'Reset mail does not come',
    text: 'Hi Ann,\n\nThe mail was in quarantine. We released it; write to ann@example.com if not.\n\nKind regards,\nBob',
    score: 0.8,
  }

  test('is the best answer with its source, without the people of the other ticket', () => {
    expect(draftFrom([{ ...answer, id: 1, score: 0.5 }, answer])).toEqual({
      text: 'Hello,\n\nThe mail was in quarantine. We released it; write to [email] if not.',
      sources: [{ kind: 'ticket', id: 7, title: 'Reset mail does not come' }],
      confidence: 0.8,
    })
  })

  test('is none where nothing is near enough', () => {
    expect(draftFrom([{ ...answer, score: 0.39 }])).toBeNull()
    expect(draftFrom([{ ...answer, text: ' ' }])).toBeNull()
    expect(draftFrom([])).toBeNull()
  })
})

describe('articles', () => {
  test('are cut at headings, which each piece keeps', () => {
    const body = 'Before.\n\n# Reset\n\nClick *Forgot*.\n\n## By mail\n\n- open it\n- click'
    expect(chunksOf({ title: 'Passwords', body, format: 'markdown' })).toEqual([
      { heading: 'Passwords', text: 'Before.' },
      { heading: 'Passwords › Reset', text: 'Click Forgot.' },
      { heading: 'Passwords › By mail', text: expect.stringContaining('- open it') },
    ])
    const html = '<h1>Passwords</h1><p>One</p><script>x()</script><h2>Two</h2><p>Three &amp; four</p>'
    expect(chunksOf({ title: 'Passwords', body: html, format: 'html' })).toEqual([
      { heading: 'Passwords', text: 'One' },
      { heading: 'Passwords › Two', text: 'Three & four' },
    ])
  })

  test('long ones become pieces of at most 200 words, and no word is lost', () => {
    const sentence = 'This sentence has exactly seven words here. '
    for (const body of [sentence.repeat(100), `${sentence}\n\n`.repeat(100), 'word '.repeat(700)]) {
      const chunks = chunksOf({ title: 'Long', body, format: 'text' })
      expect(chunks.length).toBeGreaterThan(3)
      const words = chunks.map(({ text }) => text.split(/\s+/))
      for (const own of words) expect(own.length).toBeLessThanOrEqual(200)
      expect(words.flat()).toEqual(body.trim().split(/\s+/))
    }
    expect(chunksOf({ title: 'Empty', body: '', format: 'markdown' })).toEqual([])
  })
})

describe('CSV', () => {
  test('is read with quotes, line ends in fields, any line end and a byte order mark', () => {
    expect(parseCsv('\u{FEFF}a,b\r\n"x ""y"", z","two\nlines"\n\n,last\r1,')).toEqual([
      ['a', 'b'],
      ['x "y", z', 'two\nlines'],
      ['', 'last'],
      ['1', ''],
    ])
    expect(parseCsv('')).toEqual([])
    expect(() => parseCsv('a,b\nc,"d\n')).toThrow('Line 2 has a quote that is not closed')
  })

  test('of tickets needs its two columns, wherever they are', () => {
    expect(labelledFrom('id,Category,text\n1,a,one\n2,,two\n3,b,three', 'T.csv')).toEqual([
      { text: 'one', label: 'a' },
      { text: 'three', label: 'b' },
    ])
    expect(() => labelledFrom('a,b\n1,2', 'T.csv')).toThrow(
      'T.csv needs the columns text and category, with commas between; it has a, b',
    )
    expect(() => labelledFrom('text,category', 'T.csv')).toThrow('T.csv has no row')
  })

  test('a sample is so many of each, the same by the same seed', () => {
    const all = tickets(60, 1).map(({ text, label }) => ({ text, label }))
    const sample = sampleOf(all, 5, 1)
    expect(sample).toHaveLength(15)
    expect(sample).toEqual(sampleOf(all, 5, 1))
    expect(sample).not.toEqual(sampleOf(all, 5, 2))
  })
})

test('a report counts what was right, what was sure, and what was right of it', () => {
  const verdict = (value: string, confidence: number, isSure: boolean, other: string) => ({
    value,
    confidence,
    isSure,
    others: [{ value: other, confidence: 0 }],
    source: 'model' as const,
  })
  const verdicts = [verdict('a', 1, true, 'b'), verdict('b', 1, true, 'a'), verdict('b', 0.5, false, 'b'), null]
  expect(reportOf(verdicts, ['a', 'a', 'b', 'b'], 0.95)).toEqual({
    tickets: 4,
    classes: 2,
    accuracy: 0.5,
    top3: 0.75,
    coverage: 0.5,
    precision: 0.5,
    coverage_at_best: 0.25,
    calibration_error: 0.375,
  })
})
