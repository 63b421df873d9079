import fs from 'node:fs'
import { openStore } from '../src/store/sqlite-files.ts'
import { createWriter } from '../src/store/sqlite-writer.ts'
import { loadPlatforms } from '../src/intake/platforms.ts'
import { ticket } from './ticket.ts'
const dir='/work/benchw';fs.rmSync(dir,{recursive:true,force:true});fs.mkdirSync(dir)
const db=openStore(dir+'/tickets.db')
for (const p of process.argv.slice(2)) db.exec(p)
const w=createWriter(db)
const flat=(await loadPlatforms()).at(-1)!
const G=64,N=60000
let n=0
const mk=()=>{const id='ext-'+Math.random().toString(36).slice(2);const body=ticket.replace('[<id>]',id);const d=flat.toDraft({headers:{},payload:JSON.parse(body)});n++
 return {kind:'ticket' as const,draft:{...d,metadata:JSON.stringify(d.metadata)},delivery:{receivedAt:Date.now(),source:'open',address:'127.0.0.1',method:'POST',path:'/api/integrations/webhook',headers:'{"host":"127.0.0.1:8123","content-type":"application/json","content-length":"1100","connection":"keep-alive"}',body,bodySize:body.length,bodySha256:'a'.repeat(56)+String(n).padStart(8,'0'),requestId:'b5603dac-5970-4bfe-8b7a-6e2e699f457a',platform:'flat',idempotencyKey:null}}}
let cpu=0,wall=0
for(let i=0;i<N;i+=G){const g=Array.from({length:G},mk);const c=process.cpuUsage(),s=performance.now();w.submit(g);const e=process.cpuUsage(c);cpu+=e.user+e.system;wall+=performance.now()-s}
console.log(process.argv.slice(2).join(' '),'cpu us/item',(cpu/N).toFixed(1),'wall us/item',(wall*1000/N).toFixed(1), 'wal MB', (fs.statSync(dir+'/tickets.db-wal').size/1e6).toFixed(1))
