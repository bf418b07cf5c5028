/* A curve in one line of text. */
#include "command/prompt/spark.h"

#include <math.h>

void spark_add(struct spark *s, double value)
{
    s->values[s->count++ % SPARK_MAX] = value;
}

void spark_print(const struct show_out *o, const double *values, size_t count, size_t columns)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {"_", ".", "-", "=", "+", "*", "#", "@"};
    const char *const *marks = o->unicode ? blocks : plain;
    double low = INFINITY, high = -INFINITY;
    if (count > columns) {
        values += count - columns;
        count = columns;
    }
    for (size_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    for (size_t i = 0; i < count; i++) {
        int level = high > low ? (int)((values[i] - low) / (high - low) * 7.999) : 0;
        fputs(isnan(values[i]) ? " " : marks[level], o->file);
    }
}

void spark_put(const struct show_out *o, const struct spark *s, size_t columns)
{
    double values[SPARK_MAX];
    size_t count = s->count < SPARK_MAX ? s->count : SPARK_MAX;
    for (size_t i = 0; i < count; i++)
        values[i] = s->values[(s->count - count + i) % SPARK_MAX];
    spark_print(o, values, count, columns);
}
