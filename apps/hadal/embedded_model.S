/* The files of models/v4-tiny as bytes of the binary. Page-aligned, so that only what is read becomes resident. */
    .section .rodata
    .macro embed name, file
    .balign 4096
    .global \name\()_begin
    .global \name\()_end
\name\()_begin:
    .incbin "\file"
\name\()_end:
    .byte 0
    .endm

    embed hadal_embedded_config, "config.json"
    embed hadal_embedded_generation, "generation_config.json"
    embed hadal_embedded_tokenizer, "tokenizer.json"
    embed hadal_embedded_weights, "model.safetensors"

    .section .note.GNU-stack, "", %progbits
