import { createIntake } from '../src/intake/ingest.ts'
import { loadPlatforms } from '../src/intake/platforms.ts'
import { deliveryOf } from '../src/intake/request.ts'
import { authenticateOpen } from '../src/intake/auth.ts'
import { parseBody } from '../src/intake/body.ts'
import { parseJson } from '../src/core/json.ts'
import { ticketJson } from '../src/core/ticket.ts'
import { newTicket } from '../src/core/merge.ts'
import { ticket } from './ticket.ts'
const headers={host:'127.0.0.1:8123','content-type':'application/json','content-length':'1100',connection:'keep-alive'}
const body=Buffer.from(ticket)
const req={id:'x',receivedAt:Date.now(),address:'127.0.0.1',method:'POST',path:'/api/integrations/webhook',headers,body}
const platforms=await loadPlatforms()
const store={submit:async(s:any)=>({outcome:'created'})} as any
const intake=createIntake({store,platforms,bodyLimit:1e6,statusOf:()=>500})
function t(name:string,f:()=>unknown,n=100000){for(let i=0;i<n/5;i++)f();const s=performance.now();for(let i=0;i<n;i++)f();console.log(name.padEnd(20),((performance.now()-s)*1000/n).toFixed(2),'us')}
const text=body.toString('utf8');const payload=parseJson(text) as any
const flat=platforms.at(-1)!
const draft=flat.toDraft({headers,payload});const stored={...draft,metadata:JSON.stringify(draft.metadata)};const tk=newTicket(1,stored,Date.now())
t('JSON.parse',()=>JSON.parse(text))
t('parseJson',()=>parseJson(text))
t('utf8',()=>body.toString('utf8'))
t('auth',()=>authenticateOpen(headers))
t('deliveryOf',()=>deliveryOf(req,{source:'open'},body))
t('toDraft',()=>flat.toDraft({headers,payload}))
t('stringify meta',()=>JSON.stringify(draft.metadata))
t('ticketJson',()=>ticketJson(tk))
let s=performance.now();for(let i=0;i<50000;i++)await intake.ticket(req);console.log('intake.ticket',((performance.now()-s)*1000/50000).toFixed(2))
s=performance.now();for(let i=0;i<50000;i++)await intake.ticket(req);console.log('intake.ticket',((performance.now()-s)*1000/50000).toFixed(2))
