"""JavaScript that keeps consent calls true, whatever a page's own scripts make of a tag's globals.

A tag reads its queue when its library comes. Until then the page may have assigned another array,
emptied it, deleted it, or defined the function anew that fills it. So the globals are accessors:
what is assigned goes through them, and what is read has our calls in it.

Each constant defines functions for the script of `tag_signals`, which runs before any other script.
All are ASCII without "<", and each line ends where a line break may be left out.
"""

from __future__ import annotations


def _text(lines: str) -> str:
    return "".join(line.strip() for line in lines.splitlines())


HOLD = _text("""
    const hold=(n,get,set)=>{
      for(const on of[Window.prototype,window])
        try{Object.defineProperty(on,n,{configurable:true,enumerable:true,get,set})}catch{}
    };
""")
"""`hold(name, get, set)`: on the window, where a page's `var` finds it, and on its prototype, which
`delete` does not reach. Not configurable it would make an error of a page's `const` of that name.
"""

QUEUE = _text("""
    const holds=[],queue=(n,own,filter)=>{
      let v=window[n],fresh=1;
      const put=()=>{
        if(!Array.isArray(v))return;
        if(!Object.isExtensible(v))v=[...v];
        for(let last=0;;last=1){
          try{
            filter&&filter(v);
            if(own.every(g=>v.includes(g.at(-1))))return;
            for(const g of own){
              const i=v.indexOf(g.at(-1))-g.length+1;
              g.every((x,k)=>x===v[i+k])&&v.splice(i,g.length)
            }
            v.unshift(...own.flat());
            if(own.every(g=>v.includes(g.at(-1))))return
          }catch{}
          if(last)return;
          v=[...v]
        }
      },
      get=()=>{
        if(fresh){fresh=0;queueMicrotask(()=>{fresh=1});put()}
        return v
      },
      set=x=>{v=x;put()},
      again=()=>{
        const d=Object.getOwnPropertyDescriptor(window,n);
        if(d&&d.get!==get){v=window[n];hold(n,get,set);put()}
      };
      hold(n,get,set);
      holds.push(again);
      return(...g)=>{again();Array.isArray(v)&&v.push(...g)}
    };
    const adds=(n,own=[],push=queue(n,own))=>{
      window[n]=window[n]||[];
      return(...g)=>{push(...g);own.push(g)}
    };
""")
"""`queue(name, own, filter)`: an array that begins with `own`, a list of calls that are each a list
of entries: at once where another array is assigned, and where this one was changed, when it is next
read. Only the first reading of a task counts, so that a page which empties it in a loop comes to an
end; a library's script is a task of its own. An array that takes no entries (sealed, a proxy) is
replaced by a copy. `filter` is called with the array before. Returns the function that pushes
entries. `adds(name)` makes the array too, and its function adds to `own`. `holds` has a function of
each queue that holds it again where the page has defined the global anew.
"""

LAYERS = _text(r"""
    const calls=[],layers={},guarded=new WeakSet,
    foreign=x=>x&&x[0]==='consent'&&!calls.some(g=>g[0]===x)
      &&(x[1]!=='update'||Object.values(x[2]||{}).includes('granted')),
    filter=v=>{
      for(let i=v.length;i--;)foreign(v[i])&&v.splice(i,1);
      if(guarded.has(v))return;
      guarded.add(v);
      const wrap=f=>function(...a){
        a=a.filter(x=>!foreign(x));
        return a.length?f.apply(this,a):v.length
      };
      let push=wrap(v.push);
      Object.defineProperty(v,'push',{configurable:true,get:()=>push,set(f){push=wrap(f)}})
    },
    seen=u=>{
      for(const again of holds)again();
      try{
        const{searchParams:q}=new URL(u,document.baseURI),n=q.get('l');
        if(n&&/^[A-Z]{1,4}-/.test(q.get('id'))&&!Object.hasOwn(layers,n))
          layers[n]=queue(n,calls,filter)
      }catch{}
    },
    scripts=HTMLScriptElement.prototype,
    src=Object.getOwnPropertyDescriptor(scripts,'src'),
    markup=new MutationObserver(all=>{
      for(const again of holds)again();
      for(const one of all)for(const node of one.addedNodes)
        node.localName==='script'&&seen(node.src)
    }),
    gtag=function(){
      const call=arguments;
      calls.push([call]);
      for(const n in layers)layers[n](call)
    };
    Object.defineProperty(scripts,'src',{...src,set(u){seen(u);src.set.call(this,u)}});
    scripts.setAttribute=function(n,u){
      /^src$/i.test(n)&&seen(u);
      return Element.prototype.setAttribute.apply(this,arguments)
    };
    markup.observe(document,{childList:true,subtree:true});
    addEventListener('load',()=>markup.disconnect());
    layers.dataLayer=queue('dataLayer',calls,filter);
    window.dataLayer=window.dataLayer||[];
    window.gtag=window.gtag||function(){dataLayer.push(arguments)};
""")
"""`gtag(...)`: a call of ours in each queue that a tag of Google's reads: `dataLayer`, and those
that the address of such a tag names (`l=`), held from when the address is seen, which is before its
script comes. Consent commands of the page's own scripts do not get in, but for an update that
grants nothing: what they grant is not what the visitor chose.
"""

CALLED = _text("""
    const called=(n,t)=>{
      let v=window[n];
      hold(n,()=>v,f=>{
        if(f===v)return;
        v=f;
        if(typeof f==='function')try{t(f)}catch{}
      })
    };
""")
"""`called(name, tell)`: tells each function that the page assigns to a global."""

MADE = _text("""
    const made=(n,q,t)=>{
      let v=window[n];
      const tell=f=>{
        if(Object(f)!==f)return;
        if(f[q])return t();
        Object.defineProperty(f,q,{configurable:true,get(){},set(x){
          Object.defineProperty(f,q,{value:x,writable:true,configurable:true,enumerable:true});
          v===f&&t()
        }})
      };
      tell(v);
      hold(n,()=>v,f=>{
        if(f===v)return;
        v=f;
        tell(f)
      })
    };
""")
"""`made(name, queue, tell)`: tells a global that queues calls in a property of its own, as soon as
that is there, and again each that the page makes in its place.
"""
