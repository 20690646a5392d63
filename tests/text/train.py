"""train.py OUT TEXT...: the small tokenizers of Inputs, one of each kind, by the `tokenizers` package;
that with a Precompiled normalizer by `sentencepiece` (and `protobuf`), with a few rules of its own.

Those committed were trained on doc/hacking.md and doc/dependencies.md.
"""
import os,sys
from tokenizers import Tokenizer,models,trainers,pre_tokenizers as P,normalizers as N,decoders as D,processors as X,AddedToken
out=sys.argv[1]; text=[open(f,errors='replace').read() for f in sys.argv[2:]]
lines=[l for t in text for l in t.split('\n')]
extra=["naïve café Straße Ελλάδα привет мир 你好 世界 日本語 テキスト 한국어 مرحبا हिन्दी 🙂🎉"]*3
lines+=extra
def save(t,name): t.save(os.path.join(out,name+'.json'),pretty=False)
t=Tokenizer(models.BPE()); t.pre_tokenizer=P.ByteLevel(add_prefix_space=False); t.decoder=D.ByteLevel(); t.post_processor=X.ByteLevel(trim_offsets=False)
t.train_from_iterator(lines,trainers.BpeTrainer(vocab_size=500,special_tokens=["<|endoftext|>"],initial_alphabet=P.ByteLevel.alphabet(),show_progress=False)); save(t,'byte_level')
t=Tokenizer(models.BPE(ignore_merges=True)); from tokenizers import Regex
t.pre_tokenizer=P.Sequence([P.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),'isolated'),P.ByteLevel(add_prefix_space=False,use_regex=False)]); t.decoder=D.ByteLevel(); 
t.train_from_iterator(lines,trainers.BpeTrainer(vocab_size=500,special_tokens=["<s>"],initial_alphabet=P.ByteLevel.alphabet(),show_progress=False)); t.normalizer=N.NFC(); t.post_processor=X.Sequence([X.ByteLevel(trim_offsets=False),X.TemplateProcessing(single="<s> $A",special_tokens=[("<s>",0)])]); save(t,'llama3')
t=Tokenizer(models.BPE(unk_token="<unk>",fuse_unk=True,byte_fallback=True)); t.normalizer=N.Sequence([N.Prepend("▁"),N.Replace(" ","▁")])
t.pre_tokenizer=P.Split("▁","merged_with_next")
t.train_from_iterator(lines,trainers.BpeTrainer(vocab_size=700,special_tokens=["<unk>","<s>","</s>"]+["<0x%02X>"%i for i in range(256)],show_progress=False,limit_alphabet=90)); t.pre_tokenizer=None
t.decoder=D.Sequence([D.Replace("▁"," "),D.ByteFallback(),D.Fuse(),D.Strip(" ",1,0)]); t.post_processor=X.TemplateProcessing(single="<s> $A",special_tokens=[("<s>",1)]); save(t,'llama2')
t=Tokenizer(models.WordPiece(unk_token="[UNK]")); t.normalizer=N.BertNormalizer(); t.pre_tokenizer=P.BertPreTokenizer(); t.decoder=D.WordPiece()
t.train_from_iterator(lines,trainers.WordPieceTrainer(vocab_size=500,special_tokens=["[PAD]","[UNK]","[CLS]","[SEP]","[MASK]"],show_progress=False)); t.add_tokens([AddedToken("[MASK]",lstrip=True,special=True),AddedToken("hello",single_word=True,normalized=False)]) ; t.post_processor=X.BertProcessing(("[SEP]",3),("[CLS]",2)); save(t,'wordpiece')
t=Tokenizer(models.Unigram()); t.normalizer=N.Sequence([N.Nmt(),N.NFKC(),N.Replace(Regex(" {2,}")," ")]); t.pre_tokenizer=P.Metaspace(prepend_scheme='always'); t.decoder=D.Metaspace(prepend_scheme='always')
t.train_from_iterator(lines,trainers.UnigramTrainer(vocab_size=500,special_tokens=["<unk>","</s>"],unk_token="<unk>",show_progress=False)); t.post_processor=X.TemplateProcessing(single="$A </s>",special_tokens=[("</s>",1)]); save(t,'unigram')
t=Tokenizer(models.BPE(unk_token="[UNK]",end_of_word_suffix="</w>")); t.normalizer=N.Sequence([N.NFD(),N.StripAccents(),N.Lowercase(),N.Strip()]); t.pre_tokenizer=P.Sequence([P.Whitespace(),P.Digits(individual_digits=True),P.Punctuation()]); t.decoder=D.BPEDecoder()
t.train_from_iterator(lines,trainers.BpeTrainer(vocab_size=400,special_tokens=["[UNK]","[CLS]","[SEP]"],end_of_word_suffix="</w>",show_progress=False)); t.post_processor=X.RobertaProcessing(("[SEP]",2),("[CLS]",1)); save(t,'words')

import base64,json,tempfile,sentencepiece
from sentencepiece import sentencepiece_model_pb2
rules=[("\t"," "),("\r"," "),("\u3000"," "),("\u00a0"," "),("\u2581"," "),("\u200b",""),("\x07",""),("\ufb01","fi"),("\ufb03","ffi"),("\u2167","VIII"),("\u2026","..."),
    ("\uff71","\u30a2"),("e\u0301","\u00e9"),("a\u0308","\u00e4"),("\uff01","!"),("\u1e9b\u0323","\u1e69"),("\u1112","\ud558"),("\u0928\u093c","\u0929")]
with tempfile.TemporaryDirectory() as d:
    open(d+'/rules.tsv','w').writelines(" ".join("%X"%ord(c) for c in a)+"\t"+" ".join("%X"%ord(c) for c in b)+"\n" for a,b in rules)
    open(d+'/text','w').write("\n".join(lines))
    sentencepiece.SentencePieceTrainer.train(input=d+'/text',model_prefix=d+'/m',vocab_size=450,character_coverage=0.98,minloglevel=2,normalization_rule_tsv=d+'/rules.tsv')
    m=sentencepiece_model_pb2.ModelProto(); m.ParseFromString(open(d+'/m.model','rb').read())
t=Tokenizer(models.Unigram([(p.piece,p.score) for p in m.pieces],0)); t.add_special_tokens(["<unk>","<s>","</s>"])
t.normalizer=N.Sequence([N.Precompiled(m.normalizer_spec.precompiled_charsmap),N.Replace(Regex(" {2,}")," ")])
t.pre_tokenizer=P.Metaspace(prepend_scheme='always'); t.decoder=D.Metaspace(prepend_scheme='always'); t.post_processor=X.TemplateProcessing(single="$A </s>",special_tokens=[("</s>",2)]); save(t,'precompiled')
