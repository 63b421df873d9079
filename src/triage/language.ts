import { TEXT_LIMIT } from './features.ts'

/** Scripts that one language alone uses, or nearly so. */
const SCRIPTS: readonly [language: string, letters: RegExp][] = [
  ['ja', /[\p{Script=Hiragana}\p{Script=Katakana}]/gu],
  ['ko', /\p{Script=Hangul}/gu],
  ['zh', /\p{Script=Han}/gu],
  ['fa', /[پچژگ]/gu],
  ['ar', /\p{Script=Arabic}/gu],
  ['he', /\p{Script=Hebrew}/gu],
  ['el', /\p{Script=Greek}/gu],
  ['th', /\p{Script=Thai}/gu],
  ['hi', /\p{Script=Devanagari}/gu],
  ['bn', /\p{Script=Bengali}/gu],
  ['ta', /\p{Script=Tamil}/gu],
  ['ka', /\p{Script=Georgian}/gu],
  ['hy', /\p{Script=Armenian}/gu],
  ['uk', /[іїєґІЇЄҐ]/gu],
  ['ru', /\p{Script=Cyrillic}/gu],
]

/** Words that are in nearly every text of a language, and those that tickets are written with. */
const WORDS: Readonly<Record<string, string>> = {
  en: 'the and of to is in it that you for not with on have this my are was but be can how what i we our your from when please been has an do does did will would there at by about need after still any which why get got work working login password account invoice error help issue request order refund billing payment feature',
  de: 'der die das und ist nicht ich ein eine zu den mit sich auf für von dem im wir sie mein meine ihr wie kann habe hat bei nach wird noch aus es als auch wenn aber bitte seit keine kein mich mir uns passwort rechnung konto anmelden fehler bestellung funktioniert hallo danke einen wurde werden',
  fr: 'le la les et est pas je un une des de du que vous pour nous mon ma mes dans sur avec ne ce il au plus par ai été votre notre comment bonjour merci suis depuis mais avoir peux fait facture compte passe commande erreur impossible quand cette',
  es: 'el la los las y es no un una de que en por para con mi se lo su me al como pero más ha he cuando hola gracias desde puedo está este esta nuestro factura cuenta contraseña pedido ayuda tengo muy del funciona quiero',
  pt: 'o a os as e é não um uma de que em por para com meu minha se do da no na eu mais como mas foi está você olá obrigado desde posso fatura conta senha pedido ajuda tenho muito esta nosso quando estou consigo',
  it: 'il lo la gli le e è non un una di che in per con mio mia si da del della sono ho come ma più questo ciao grazie posso fattura account ordine aiuto nel alla quando ancora buongiorno funziona anche mi',
  nl: 'de het een en is niet ik van te dat in op voor met mijn zijn we wij er aan maar om kan heb hoe bij naar ook wordt nog als onze graag wachtwoord factuur bestelling werkt hallo bedankt geen deze',
  pl: 'i w nie na jest się z do to że mam mój moje jak dla od po proszę nie dzień dobry przez ale czy jestem są hasło faktura konto zamówienie pomoc działa mogę tego',
  sv: 'och att det är inte jag en ett som på med för av den har till kan vi min mitt hur men om när hej tack från vill lösenord faktura beställning fungerar kunde mig',
  da: 'ind log logge og at det er ikke jeg en et som på med for af den har til kan vi min mit hvordan men om når hej tak fra vil adgangskode faktura ordre virker mig kunne efter',
  no: 'og at det er ikke jeg en et som på med for av den har til kan vi min mitt hvordan men om når hei takk fra vil passord faktura bestilling fungerer meg etter',
  fi: 'ja on ei en se että minun olen mutta kun miten kanssa voi ole tämä hei kiitos salasana lasku tilaus toimi kuin myös ovat voin saa',
  cs: 'a je se na v že to nemohu mám jak pro od po prosím dobrý den ale jsem není s do heslo faktura účet objednávka nefunguje děkuji které můj',
  tr: 've bir bu için ile değil benim çok nasıl ama var yok ben merhaba teşekkürler şifre fatura hesap sipariş çalışmıyor olarak daha gibi ne lütfen',
  ro: 'și este nu o un de la în cu pe că mai am meu mea pentru din sunt cum dar bună mulțumesc parola factura cont comanda nu se care',
  hu: 'a az és nem egy hogy van is de nekem vagyok kérem köszönöm jelszó számla rendelés működik már csak meg mint lehet ezt',
  id: 'yang dan di tidak ini itu saya untuk dengan dari ke ada akan bisa pada kami halo terima kasih sudah kata sandi akun pesanan bagaimana mohon',
  vi: 'và là của không tôi có được cho này với các một những trong khi đã xin chào cảm ơn mật khẩu tài khoản bị làm',
}

/** Letters that give away a language among those in Latin script, where its words are too few. */
const LETTERS: readonly [letters: RegExp, languages: readonly string[]][] = [
  [/ß/g, ['de']],
  [/[äöü]/g, ['de', 'sv', 'fi', 'hu', 'tr']],
  [/[ñ¿¡]/g, ['es']],
  [/[ãõ]/g, ['pt']],
  [/[œêèù]/g, ['fr']],
  [/[łąęśźż]/g, ['pl']],
  [/[řěů]/g, ['cs']],
  [/[ğış]/g, ['tr']],
  [/[őű]/g, ['hu']],
  [/[ășț]/g, ['ro']],
  [/[æø]/g, ['da', 'no']],
  [/å/g, ['sv', 'da', 'no']],
  [/[ơưđạảấầậắặẻếềệịọốồộớợụủứừựỳ]/g, ['vi']],
]

const OF_WORD: ReadonlyMap<string, readonly string[]> = languagesOfWords()

function languagesOfWords(): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [language, words] of Object.entries(WORDS))
    for (const word of new Set(words.split(' '))) found.set(word, [...(found.get(word) ?? []), language])
  return found
}

/** ISO 639-1 of the language a text is most likely in, or null when too little speaks for any. */
export function languageOf(text: string): string | null {
  const said = text.slice(0, TEXT_LIMIT).normalize('NFC')
  const letters = said.match(/\p{L}/gu)?.length ?? 0
  if (letters === 0) return null
  const script = scriptOf(said, letters)
  if (script !== null) return script
  const scores = new Map<string, number>()
  const add = (language: string, weight: number) => scores.set(language, (scores.get(language) ?? 0) + weight)
  const words = said.toLowerCase().match(/[\p{L}\p{M}']+/gu) ?? []
  for (const word of words) {
    const languages = OF_WORD.get(word.replace(/'\w*$/, '')) ?? []
    for (const language of languages) add(language, 1 / languages.length)
  }
  for (const [pattern, languages] of LETTERS) {
    const count = Math.min(3, said.toLowerCase().match(pattern)?.length ?? 0)
    for (const language of languages) add(language, count / languages.length)
  }
  const [best] = [...scores].toSorted(([, one], [, other]) => other - one)
  // One word that only it has, or several that it shares.
  return best === undefined || best[1] < 0.9 ? null : best[0]
}

function scriptOf(text: string, letters: number): string | null {
  for (const [language, pattern] of SCRIPTS) {
    const count = text.match(pattern)?.length ?? 0
    // Kana are a third of Japanese, and the letters of their own a few of Ukrainian and Persian.
    const least = language === 'ja' ? 0.1 : language === 'uk' || language === 'fa' ? 0.01 : 0.4
    if (count / letters >= least) return language
  }
  return null
}
