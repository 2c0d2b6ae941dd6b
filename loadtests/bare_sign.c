/*
 * What one signature costs when nothing but the module is in between: C_SignInit and C_Sign in a loop.
 *
 *   cc -O2 -o bare_sign bare_sign.c -ldl
 *   SOFTHSM2_CONF=... ./bare_sign MODULE TOKEN_LABEL PIN_FILE SECONDS
 *
 * It signs with the token's first private key (CKM_ECDSA, P-256), and prints one line:
 * signatures, and CPU microseconds for each.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long CK_ULONG;
typedef struct { CK_ULONG type; void *value; CK_ULONG length; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; void *parameter; CK_ULONG length; } CK_MECHANISM;
typedef struct {
    unsigned char label[32], manufacturer[32], model[16], serial[16];
    CK_ULONG rest[16];
} CK_TOKEN_INFO;
/* The functions behind the version, in the order of PKCS#11 2.20 (section 11). */
typedef struct { unsigned char version[2]; CK_ULONG (*function[68])(); } CK_FUNCTION_LIST;

enum {
    INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18,
    FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27, FIND_OBJECTS_FINAL = 28, SIGN_INIT = 42, SIGN = 43
};

static CK_FUNCTION_LIST *module;

static void check(const char *what, CK_ULONG answer)
{
    if (answer != 0) {
        fprintf(stderr, "bare_sign: %s: CKR 0x%lx\n", what, answer);
        exit(1);
    }
}

static double cpu_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static CK_ULONG slot_of(const char *label)
{
    CK_ULONG slots[64], count = 64;
    check("C_GetSlotList", module->function[GET_SLOT_LIST](1, slots, &count));
    for (CK_ULONG at = 0; at < count; at++) {
        CK_TOKEN_INFO info;
        size_t length = strlen(label);
        if (module->function[GET_TOKEN_INFO](slots[at], &info) == 0 && length <= 32
            && memcmp(info.label, label, length) == 0)
            return slots[at];
    }
    fprintf(stderr, "bare_sign: no token %s\n", label);
    exit(1);
}

int main(int count, char **words)
{
    if (count != 5) {
        fprintf(stderr, "usage: bare_sign MODULE TOKEN_LABEL PIN_FILE SECONDS\n");
        return 2;
    }
    void *library = dlopen(words[1], RTLD_NOW);
    CK_ULONG (*get)(CK_FUNCTION_LIST **) = library ? dlsym(library, "C_GetFunctionList") : NULL;
    if (get == NULL || get(&module) != 0) {
        fprintf(stderr, "bare_sign: no PKCS#11 module at %s\n", words[1]);
        return 1;
    }
    char pin[256] = "";
    FILE *file = fopen(words[3], "r");
    if (file == NULL || fgets(pin, sizeof pin, file) == NULL) {
        fprintf(stderr, "bare_sign: the PIN file cannot be read\n");
        return 1;
    }
    fclose(file);
    pin[strcspn(pin, "\r\n")] = 0;

    CK_ULONG session, key, found, private_key = 3;
    CK_ATTRIBUTE wanted = {0 /* CKA_CLASS */, &private_key, sizeof private_key};
    CK_MECHANISM ecdsa = {0x1041, NULL, 0};
    check("C_Initialize", module->function[INITIALIZE](NULL));
    check("C_OpenSession",
          module->function[OPEN_SESSION](slot_of(words[2]), 4UL, NULL, NULL, &session));
    check("C_Login", module->function[LOGIN](session, 1UL, pin, (CK_ULONG)strlen(pin)));
    check("C_FindObjectsInit", module->function[FIND_OBJECTS_INIT](session, &wanted, 1UL));
    check("C_FindObjects", module->function[FIND_OBJECTS](session, &key, 1UL, &found));
    check("C_FindObjectsFinal", module->function[FIND_OBJECTS_FINAL](session));
    check("a private key", found == 1 ? 0 : 1);

    unsigned char digest[32] = {0}, signature[256];
    double seconds = atof(words[4]), began = cpu_s();
    unsigned long signed_count = 0;
    while (cpu_s() - began < seconds) {
        for (int n = 0; n < 100; n++) {
            CK_ULONG length = sizeof signature;
            digest[0]++;
            check("C_SignInit", module->function[SIGN_INIT](session, &ecdsa, key));
            check("C_Sign", module->function[SIGN](session, digest, 32UL, signature, &length));
        }
        signed_count += 100;
    }
    printf("%lu %.2f\n", signed_count, (cpu_s() - began) * 1e6 / signed_count);
    return 0;
}
